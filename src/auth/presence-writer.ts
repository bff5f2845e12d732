import { isCoded, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { World } from '../base/world.ts';
import type { SystemRole } from '../domain/host-info.ts';
import { presence, type Renewal } from '../domain/presence.ts';
import { presenceStream } from '../domain/streams.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Position, Revision } from '../log/event.ts';

/** Turns the heartbeats of many hosts into one fact every few seconds. */
export interface PresenceWriter {
  /** The host is alive for `ttlSeconds`; told with the next fact. */
  renew(host: { readonly hostId: string; readonly role: SystemRole }, ttlSeconds: number): void;
  /** Tells at once what waits. Answers the position of the fact; undefined when nothing waited. */
  flush(): Promise<Position | undefined>;
  /** Tells what waits, then stops. */
  close(): Promise<void>;
}

export interface PresenceOptions {
  readonly log: EventLog;
  readonly world: World;
  readonly sink: LogSink;
  /** Of this auth server, the only writer of its stream but for a predecessor that is about to end. */
  readonly hostId: string;
  readonly intervalMs: number;
}

export function presenceWriter({ log, world, sink, hostId, intervalMs }: PresenceOptions): PresenceWriter {
  const stream = presenceStream(hostId);
  let waiting = new Map<string, Renewal>();
  let revision: Revision | undefined;
  let last: Promise<Position | undefined> = Promise.resolve(undefined);

  const append = async (hosts: readonly Renewal[]): Promise<Position> => {
    const facts = presence.decide(null, { type: 'renew-hosts', hosts });
    const cause = { at: world.now(), actor: `auth:${hostId}`, requestId: world.uuid() };
    for (;;) {
      try {
        revision ??= await log.revision(stream);
        const position = await log.append([{ stream, expected: revision, facts }], cause);
        revision += facts.length;
        return position;
      } catch (e) {
        revision = undefined;
        if (!isCoded(e, 'conflict')) throw e;
      }
    }
  };

  const flushNow = async (): Promise<Position | undefined> => {
    if (waiting.size === 0) return undefined;
    const mine = waiting;
    waiting = new Map();
    try {
      return await append([...mine.values()]);
    } catch (e) {
      // A later heartbeat of the same host says more.
      waiting = new Map([...mine, ...waiting]);
      throw e;
    }
  };

  /** One at a time, in order. */
  const flush = (): Promise<Position | undefined> => {
    last = last.catch(() => undefined).then(flushNow);
    return last;
  };

  const timer = setInterval(() => {
    flush().catch((e: unknown) => {
      sink.warn('heartbeats cannot be stored now', { reason: messageOf(e), hosts: waiting.size });
    });
  }, intervalMs);
  timer.unref();

  return {
    renew: (host, ttlSeconds) => {
      waiting.set(`${host.hostId}/${host.role}`, { ...host, seenAt: world.now(), ttlSeconds });
    },
    flush,
    close: async () => {
      clearInterval(timer);
      await flush().catch((e: unknown) => {
        sink.warn('the last heartbeats could not be stored', { reason: messageOf(e) });
      });
    },
  };
}
