import { RefusedAttempts } from '../api/refused-attempts.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { World } from '../base/world.ts';
import { catalogue } from '../domain/audit-catalogue.ts';
import type { AuthFailure } from '../ssh/cert-server.ts';
import { addressFields, type NodeAudit } from './node-audit.ts';

/** Records refused logins: one by one, or as a number when there are too many. */
export class RefusedLogins {
  readonly #attempts: RefusedAttempts;

  constructor(audit: NodeAudit, world: World, sink: LogSink) {
    this.#attempts = new RefusedAttempts({
      world,
      sink,
      about: 'auth',
      message: 'refused logins, not kept one by one: too many came',
      complete: (body) => audit.unnamed(body),
      emit: (event) => audit.emit(event),
    });
  }

  record({ username, keyId, reason, peer }: AuthFailure): void {
    this.#attempts.record(
      peer.remoteAddress.host,
      catalogue.authAttemptFailure({
        success: false,
        error: reason,
        login: username,
        proto: 'ssh',
        ...(keyId === undefined ? {} : { user: keyId }),
        ...addressFields(peer),
      }),
    );
  }

  /** Reports the number of those that were only counted. */
  close(): Promise<void> {
    return this.#attempts.close();
  }
}
