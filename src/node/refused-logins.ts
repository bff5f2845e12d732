import { minute } from '../base/duration.ts';
import type { World } from '../base/world.ts';
import type { AuthFailure } from '../ssh/cert-server.ts';
import { addressFields, type NodeAudit } from './node-audit.ts';

/** Kept one by one, per minute; more become one event with their number. */
const perMinute = 600;

/**
 * Records refused logins (`auth`, T3007W). Whoever hammers the port fills neither disk nor memory, and nothing is lost
 * without a word: what was not kept one by one is counted in an event of its own.
 */
export class RefusedLogins {
  readonly #audit: NodeAudit;
  readonly #world: World;
  #begun: number;
  #kept = 0;
  #counted = 0;

  constructor(audit: NodeAudit, world: World) {
    this.#audit = audit;
    this.#world = world;
    this.#begun = world.monotonic();
  }

  record({ username, keyId, reason, peer }: AuthFailure): void {
    if (this.#world.monotonic() - this.#begun >= minute) this.tellCount();
    if (this.#kept >= perMinute) {
      this.#counted++;
      return;
    }
    this.#kept++;
    void this.#audit.unnamed({
      event: 'auth',
      code: 'T3007W',
      request_id: this.#world.uuid(),
      success: false,
      error: reason,
      login: username,
      proto: 'ssh',
      ...(keyId === undefined ? {} : { user: keyId }),
      ...addressFields(peer),
    });
  }

  /** To be called at the end, too. */
  tellCount(): void {
    if (this.#counted > 0)
      void this.#audit.unnamed({
        event: 'auth',
        code: 'T3007W',
        request_id: this.#world.uuid(),
        success: false,
        error: `${this.#counted} more refused logins within a minute`,
        count: this.#counted,
      });
    [this.#begun, this.#kept, this.#counted] = [this.#world.monotonic(), 0, 0];
  }
}
