import { refusalPace, type RefusalPace } from '../api/refusal-pace.ts';
import { minute } from '../base/duration.ts';
import type { World } from '../base/world.ts';
import type { AuthFailure } from '../ssh/cert-server.ts';
import { addressFields, type NodeAudit } from './node-audit.ts';

/**
 * Records refused logins (`auth`, T3007W). Whoever hammers the port fills neither disk nor memory, and nothing is lost
 * without a word: what was not kept one by one is counted in an event of its own.
 */
export class RefusedLogins {
  readonly #audit: NodeAudit;
  readonly #world: World;
  readonly #pace: RefusalPace;
  #begun: number;
  #counted = 0;

  constructor(audit: NodeAudit, world: World) {
    this.#audit = audit;
    this.#world = world;
    this.#pace = refusalPace(world);
    this.#begun = world.monotonic();
  }

  record({ username, keyId, reason, peer }: AuthFailure): void {
    if (this.#world.monotonic() - this.#begun >= minute) this.tellCount();
    if (!this.#pace.mayTell(peer.remoteAddress.host)) {
      this.#counted++;
      return;
    }
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
    [this.#begun, this.#counted] = [this.#world.monotonic(), 0];
  }
}
