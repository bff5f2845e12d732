import type { AuditOutbox } from '../api/audit-outbox.ts';
import { refusalPace, type RefusalPace } from '../api/refusal-pace.ts';
import { messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import { formatHostPort } from '../base/service.ts';
import type { Instant } from '../base/time.ts';
import { minute } from '../base/duration.ts';
import type { World } from '../base/world.ts';
import { auditCodes } from '../domain/audit-codes.ts';
import type { AuditEvent } from '../domain/audit-event.ts';
import type { AuthFailure, Peer, SshConnection } from '../ssh/cert-server.ts';

/** Events that may wait for the spool. When it takes none, they wait here only up to this number. */
const maxWaiting = 1_000;
/** Addresses named in the event that tells the number; the rest is in its count. */
const maxNamed = 20;
const maxTracked = 10_000;

export interface ProxyAuditDeps {
  readonly outbox: Pick<AuditOutbox, 'emit'>;
  readonly world: World;
  readonly sink: LogSink;
  readonly hostId: string;
}

/**
 * What a proxy tells the audit: refused SSH logins (`auth`, T3007W), targets it did not reach (`port`,
 * T3003E), and connections it ended. Whoever hammers the port
 * fills neither disk nor memory, and nothing is lost without a word: what was not kept one by one is counted, and the
 * number is an event of its own (`gap`) a minute later.
 */
export class ProxyAudit {
  readonly #deps: ProxyAuditDeps;
  #window: NodeJS.Timeout | undefined;
  readonly #pace: RefusalPace;
  #counted = 0;
  #countedOf = new Map<string, number>();
  #since: Instant = '';
  #waiting = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(deps: ProxyAuditDeps) {
    this.#deps = deps;
    this.#pace = refusalPace(deps.world);
  }

  refused({ username, keyId, reason, peer }: AuthFailure): void {
    this.#limited(peer.remoteAddress.host, {
      event: 'auth',
      code: auditCodes.authAttemptFailure,
      success: false,
      error: reason,
      login: username,
      proto: 'ssh',
      ...(keyId === undefined ? {} : { user: keyId }),
      ...addressFields(peer),
    });
  }

  /** Somebody asked for a target that does not answer, or is not dialled: who does so often looks for something. */
  unreachable({ certificate, username, peer }: SshConnection, target: string, error: string): void {
    this.#limited(peer.remoteAddress.host, {
      event: 'port',
      code: auditCodes.portForwardFailure,
      success: false,
      user: certificate.keyId,
      login: username,
      addr: target,
      error,
      ...addressFields(peer),
    });
  }

  #limited(host: string, fields: Fields): void {
    this.#window ??= setTimeout(() => {
      this.#endWindow();
    }, minute).unref();
    if (this.#waiting >= maxWaiting || !this.#pace.mayTell(host)) {
      this.#count(host, 1);
      return;
    }
    this.#emit(host, fields);
  }

  /** The proxy ended a connection because its user may no longer be here. */
  disconnected({ certificate, username, peer }: SshConnection, reason: string): void {
    this.#emit(peer.remoteAddress.host, {
      event: 'client.disconnect',
      code: auditCodes.clientDisconnect,
      user: certificate.keyId,
      login: username,
      reason,
      ...addressFields(peer),
    });
  }

  /** Writes what is only counted yet, and waits for all that was written. */
  async close(): Promise<void> {
    await this.#writing;
    this.#endWindow();
    await this.#writing;
    if (this.#counted > 0)
      this.#deps.sink.error('refused logins that the audit could not take', { count: this.#counted });
    clearTimeout(this.#window);
  }

  #endWindow(): void {
    clearTimeout(this.#window);
    this.#window = undefined;
    if (this.#counted === 0) return;
    const count = this.#counted;
    const named = [...this.#countedOf].sort((a, b) => b[1] - a[1]).slice(0, maxNamed);
    const since = this.#since;
    this.#counted = 0;
    this.#countedOf.clear();
    this.#emit(
      '',
      {
        event: 'gap',
        code: auditCodes.gap,
        about: 'auth',
        count,
        since,
        message: 'refused logins and targets that were not reached, not kept one by one: too many came',
        addresses: Object.fromEntries(named),
      },
      count,
    );
  }

  #count(host: string, n: number): void {
    if (this.#counted === 0) this.#since = this.#deps.world.now();
    this.#counted += n;
    if (this.#countedOf.size < maxTracked || this.#countedOf.has(host))
      this.#countedOf.set(host, (this.#countedOf.get(host) ?? 0) + n);
    this.#window ??= setTimeout(() => {
      this.#endWindow();
    }, minute).unref();
  }

  /** In order, one after the other. What the spool does not take is counted again: `n` refusals. */
  #emit(host: string, fields: Fields, n = 1): void {
    const { outbox, world, sink, hostId } = this.#deps;
    const event: AuditEvent = {
      uid: world.uuid(),
      time: world.now(),
      ei: 0,
      server_id: hostId,
      request_id: world.uuid(),
      ...fields,
    };
    this.#waiting++;
    this.#writing = this.#writing
      .then(() => outbox.emit(event))
      .catch((e: unknown) => {
        sink.error('an audit event could not be kept', {
          reason: messageOf(e),
          event: JSON.stringify(event),
        });
        this.#count(host, n);
      })
      .finally(() => {
        this.#waiting--;
      });
  }
}

type Fields = Pick<AuditEvent, 'event' | 'code'> & Record<string, unknown>;

const addressFields = (peer: Peer): Pick<AuditEvent, 'addr.remote' | 'addr.local'> => ({
  'addr.remote': formatHostPort(peer.remoteAddress),
  'addr.local': formatHostPort(peer.localAddress),
});
