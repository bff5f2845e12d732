import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isCoded } from '../base/errors.ts';
import { authority } from './authority.ts';
import type { AuthorityCommand, NewAuthorityKey } from './authority-commands.ts';
import { type AuthorityState, keysInUse, trustedKeys } from './authority-state.ts';
import { adoptedMark } from './host-adoption.ts';
import { nextStep, type RotationPhase } from './rotation.ts';
import { outstanding, type RotationMark, rotationMark } from './rotation-mark.ts';

/*
 * A cluster whose host authority rotates, as a model: an operator who takes steps and is refused while a host
 * that is alive lacks the phase, and hosts that fold late, renew late, go away and come back.
 */

const at = '2026-01-01T00:00:00.000Z';
const nothing = new Uint8Array();
const announcement = { text: '', signatures: [] };

interface ModelHost {
  /** What it has folded: the authority as it was then. */
  state: AuthorityState;
  /** Ids of the keys that signed what it shows, when it calls and when it is called. */
  client: string;
  server: string;
  isAlive: boolean;
  /** What it reported last. */
  mark: RotationMark;
}

class Model {
  state: AuthorityState = { status: 'absent' };
  readonly hosts: ModelHost[];
  #made = 0;

  constructor(count: number) {
    this.#apply({ type: 'create-authority', authority: 'host', clusterName: 'c', key: this.#newKey() });
    const { signs } = keysInUse(this.state);
    this.hosts = Array.from({ length: count }, () => ({
      ...{ state: this.state, client: signs.keyId, server: signs.keyId, isAlive: true, mark: '' },
    }));
  }

  #newKey(): NewAuthorityKey {
    const keyId = `key-${++this.#made}`;
    return {
      ...{ keyId, sshPublicKey: keyId, tlsCertificatePem: keyId, activeFrom: at },
      ...{ sshPrivateKey: nothing, tlsPrivateKey: nothing },
    };
  }

  #apply(command: AuthorityCommand): void {
    try {
      for (const fact of authority.decide(this.state, command))
        this.state = authority.evolve(this.state, fact);
    } catch (e) {
      if (!isCoded(e, 'bad_request')) throw e; // a step out of order changes nothing
    }
  }

  /** The operator wants a phase; without force, so that those who are alive are waited for. */
  want(phase: RotationPhase): void {
    const { state } = this;
    if (state.status === 'absent') return;
    const reports = this.hosts
      .filter(({ isAlive }) => isAlive)
      .map(({ mark }) => ({ hostId: '', role: 'Node' as const, mark }));
    if (phase !== 'rollback' && outstanding(state, reports).length > 0) return;
    const rotationId = state.rotation.phase === 'standby' ? '' : state.rotation.rotationId;
    const step = { at, by: 'admin', rotationId, left: [] };
    const announcing = { announcement, number: state.announcements + 1 };
    switch (phase) {
      case 'init':
        this.#apply({
          ...{
            type: 'start-rotation',
            rotationId: `rotation-${this.#made}`,
            at,
            by: 'admin',
            endSessions: false,
          },
          ...{ mode: 'manual', gracePeriodMs: 1000, key: this.#newKey(), ...announcing },
        });
        return;
      case 'standby':
        this.#apply({ type: 'finish-rotation', ...step, ...announcing, endSessions: false });
        return;
      case 'rollback':
        this.#apply({ type: 'roll-back-rotation', ...step });
        return;
      case 'update_clients':
      case 'update_servers':
        this.#apply({ type: 'advance-rotation', phase, ...step });
    }
  }

  folds(host: ModelHost): void {
    if (host.isAlive) host.state = this.state;
  }

  /** It asks for new certificates: auth signs with the key that signs now, if the one shown is trusted. */
  renews(host: ModelHost): void {
    const keys = keysInUse(this.state);
    if (!host.isAlive || !keys.trusted.some(({ keyId }) => keyId === host.client)) return;
    const wanted = keysInUse(host.state).clients.keyId;
    if (host.client !== wanted) host.client = keys.signs.keyId;
  }

  /** It shows the certificate that its fold asks for to those who call it, if it has it. */
  switches(host: ModelHost): void {
    if (host.isAlive && keysInUse(host.state).servers.keyId === host.client) host.server = host.client;
  }

  reports(host: ModelHost): void {
    if (!host.isAlive) return;
    const trusts = trustedKeys(host.state).map(({ keyId }) => keyId);
    const held = { client: host.client, server: host.server, trusts };
    host.mark = adoptedMark(host.state, held);
  }

  comes(host: ModelHost): void {
    // Who was away through a whole rotation joins again by its token.
    const keys = keysInUse(this.state);
    host.isAlive = true;
    host.state = this.state;
    const isTrusted = (keyId: string): boolean => keys.trusted.some((key) => key.keyId === keyId);
    if (!isTrusted(host.client)) host.client = keys.clients.keyId;
    if (!isTrusted(host.server)) host.server = host.client;
    this.reports(host);
  }
}

const trusts = ({ state }: ModelHost, keyId: string): boolean =>
  trustedKeys(state).some((key) => key.keyId === keyId);

type Act = (model: Model, host: ModelHost) => void;
const hostActs: readonly Act[] = [
  (model, host) => {
    model.folds(host);
  },
  (model, host) => {
    model.renews(host);
  },
  (model, host) => {
    model.switches(host);
  },
  (model, host) => {
    model.reports(host);
  },
  (_model, host) => {
    host.isAlive = false;
  },
  (model, host) => {
    if (!host.isAlive) model.comes(host);
  },
];
const phases = ['init', 'update_clients', 'update_servers', 'standby', 'rollback'] as const;
const anyAct: fc.Arbitrary<Act> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...hostActs) },
  {
    weight: 2,
    // The step that comes next, mostly: others are refused.
    arbitrary: fc.constantFrom(...Array<'next'>(8).fill('next'), ...phases).map((wish): Act => (model) => {
      const { state } = model;
      if (state.status === 'absent') return;
      const { rotation } = state;
      const next = rotation.phase === 'standby' ? 'init' : nextStep(rotation).phase;
      model.want(wish === 'next' ? next : wish);
    }),
  },
);

/** Everything that a host that is alive does by and by. */
function catchUp(model: Model): void {
  for (const host of model.hosts) {
    model.folds(host);
    model.renews(host);
    model.switches(host);
    model.reports(host);
  }
}

describe('a cluster whose authority rotates', () => {
  it('keeps every two hosts that are alive in touch, whatever lags, goes away and comes back', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(anyAct, fc.nat(3)), { maxLength: 120 }), (acts) => {
        const model = new Model(4);
        for (const [act, n] of acts) {
          const host = model.hosts[n];
          if (host !== undefined) act(model, host);
          const alive = model.hosts.filter(({ isAlive }) => isAlive);
          for (const a of alive)
            for (const b of alive) {
              expect(trusts(b, a.client), 'whoever is called accepts who calls').toBe(true);
              expect(trusts(a, b.server), 'whoever calls accepts who is called').toBe(true);
            }
        }
      }),
      { numRuns: 800 },
    );
  });

  it('accepts no certificate of a key that left, at any host that acknowledged its end', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(anyAct, fc.nat(3)), { maxLength: 120 }), (acts) => {
        const model = new Model(4);
        for (const [act, n] of acts) {
          const host = model.hosts[n];
          if (host !== undefined) act(model, host);
          const { state } = model;
          if (state.status === 'absent') continue;
          const left = state.retired.map(({ key }) => key.keyId);
          for (const one of model.hosts)
            if (one.mark === rotationMark(state))
              for (const keyId of left) expect(trusts(one, keyId)).toBe(false);
        }
      }),
      { numRuns: 800 },
    );
  });

  it('comes to an end once everybody who is alive catches up', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(anyAct, fc.nat(3)), { maxLength: 60 }), (acts) => {
        const model = new Model(4);
        for (const [act, n] of acts) {
          const host = model.hosts[n];
          if (host !== undefined) act(model, host);
        }
        for (let step = 0; step < 5; step++) {
          catchUp(model);
          const { state } = model;
          if (state.status === 'absent' || state.rotation.phase === 'standby') break;
          model.want(nextStep(state.rotation).phase);
        }
        expect(model.state).toMatchObject({ rotation: { phase: 'standby' } });
        expect(trustedKeys(model.state)).toHaveLength(1);
      }),
      { numRuns: 300 },
    );
  });
});
