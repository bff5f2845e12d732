import type { AuditOutbox } from '../api/audit-outbox.ts';
import { messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import { formatHostPort } from '../base/service.ts';
import type { World } from '../base/world.ts';
import type { AuthFailure } from '../ssh/cert-server.ts';

/** Refused logins kept one by one, per minute; more become one event with their number. */
const perMinute = 600;
const windowMs = 60_000;

export interface RefusedLogins {
  readonly record: (failure: AuthFailure) => void;
  /** Writes what is only counted yet, and waits for it. */
  close(): Promise<void>;
}

/**
 * Records refused SSH logins (`auth`, T3007W). Whoever hammers the port fills neither disk nor memory, and nothing is lost
 * without a word: what was not kept one by one is counted in an event of its own.
 */
export function refusedLogins(deps: {
  readonly outbox: AuditOutbox;
  readonly world: World;
  readonly sink: LogSink;
  readonly hostId: string;
}): RefusedLogins {
  const { outbox, world, sink, hostId } = deps;
  let begun = Date.parse(world.now());
  let kept = 0;
  let counted = 0;
  let writing: Promise<void> = Promise.resolve();

  const emit = (fields: Record<string, unknown>): void => {
    const event = {
      event: 'auth',
      code: 'T3007W',
      uid: world.uuid(),
      time: world.now(),
      ei: 0,
      success: false,
      server_id: hostId,
      actor: `proxy:${hostId}`,
      request_id: world.uuid(),
      ...fields,
    };
    writing = writing
      .then(() => outbox.emit(event))
      .catch((e: unknown) => {
        sink.error(`an audit event could not be kept: ${messageOf(e)}`, { event: JSON.stringify(event) });
      });
  };
  const closeWindow = (): void => {
    if (counted > 0) emit({ error: `${counted} more refused logins within a minute`, count: counted });
    [begun, kept, counted] = [Date.parse(world.now()), 0, 0];
  };
  return {
    record: ({ username, keyId, reason, peer }) => {
      if (Date.parse(world.now()) - begun >= windowMs) closeWindow();
      if (kept >= perMinute) {
        counted++;
        return;
      }
      kept++;
      emit({
        login: username,
        ...(keyId === undefined ? {} : { user: keyId }),
        error: reason,
        proto: 'ssh',
        'addr.remote': formatHostPort(peer.remoteAddress),
        'addr.local': formatHostPort(peer.localAddress),
      });
    },
    close: async () => {
      closeWindow();
      await writing;
    },
  };
}
