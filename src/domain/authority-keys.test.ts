import { describe, expect, it } from 'vitest';
import { authority } from './authority.ts';
import type { AuthorityCommand, NewAuthorityKey } from './authority-commands.ts';
import { type AuthorityFact, keysBroughtBy } from './authority-facts.ts';
import {
  activeSigner,
  type AuthorityState,
  type CreatedAuthority,
  keysInUse,
  keysOfSessions,
  trustedKeys,
} from './authority-state.ts';

const at = '2026-01-01T00:00:00.000Z';
const announcement = { text: '', signatures: [] };
const keyOf = (keyId: string, activeFrom = at): NewAuthorityKey => ({
  ...{ keyId, sshPublicKey: `ssh ${keyId}`, tlsCertificatePem: `tls ${keyId}`, activeFrom },
  sshPrivateKey: Buffer.from(`private ssh ${keyId}`),
  tlsPrivateKey: Buffer.from(`private tls ${keyId}`),
});
const publicOf = ({ keyId, sshPublicKey, tlsCertificatePem, activeFrom }: NewAuthorityKey) => ({
  ...{ keyId, sshPublicKey, tlsCertificatePem, activeFrom },
});
const create: AuthorityCommand = {
  ...{ type: 'create-authority', authority: 'host', clusterName: 'c', key: keyOf('first') },
};

/** An authority whose keys are replaced by steps. */
class Keys {
  state: AuthorityState = authority.initial;
  facts: readonly AuthorityFact[] = [];

  take(command: AuthorityCommand): this {
    this.facts = authority.decide(this.state, command);
    this.state = this.facts.reduce((now, fact) => authority.evolve(now, fact), this.state);
    return this;
  }
  get #number(): number {
    return this.state.status === 'created' ? this.state.announcements + 1 : 1;
  }
  get #step() {
    return { at, by: 'admin', left: [], announcement, number: this.#number };
  }
  begin(key: string): this {
    const begun = { rotationId: `to-${key}`, mode: 'auto', gracePeriodMs: 1, endSessions: false } as const;
    return this.take({ type: 'start-rotation', ...this.#step, ...begun, key: keyOf(key) });
  }
  rotate(key: string, endSessions: boolean): this {
    const rotationId = `to-${key}`;
    this.begin(key);
    for (const phase of ['update_clients', 'update_servers'] as const)
      this.take({ type: 'advance-rotation', phase, rotationId, at, by: 'admin', left: [] });
    return this.take({ type: 'finish-rotation', rotationId, ...this.#step, endSessions });
  }
  replace(key: string, when = at): this {
    const replacing = { rotationId: `to-${key}`, key: keyOf(key) };
    return this.take({ type: 'replace-key', ...replacing, ...this.#step, at: when });
  }
}
const created = (): Keys => new Keys().take(create);
const createdOf = (state: AuthorityState): CreatedAuthority =>
  state.status === 'created' ? state : expect.unreachable();
const ids = (keys: readonly { readonly keyId: string }[]): string => keys.map(({ keyId }) => keyId).join(' ');

describe('the private halves of keys', () => {
  it('are sealed in the fact that brings the key, and nowhere else in it', () => {
    for (const [keys, keyId] of [
      [created(), 'first'],
      [created().begin('second'), 'second'],
      [created().replace('third'), 'third'],
    ] as const) {
      const [fact] = keys.facts;
      if (fact === undefined) return expect.unreachable();
      expect(keysBroughtBy(fact)).toEqual([publicOf(keyOf(keyId))]);
      expect(fact.secrets).toEqual({
        [`ssh.${keyId}`]: Buffer.from(`private ssh ${keyId}`),
        [`tls.${keyId}`]: Buffer.from(`private tls ${keyId}`),
      });
      expect(JSON.stringify([fact.data, keys.state])).not.toContain('rivateKey');
    }
  });
  it('come with no other fact', () => {
    const [finished] = created().rotate('second', false).facts;
    expect(finished?.type).toBe('authority.rotation_finished');
    expect(finished && keysBroughtBy(finished)).toEqual([]);
  });
});

describe('an authority that is not there', () => {
  it('takes no step, has no key, and is made once', () => {
    const none: AuthorityState = { status: 'absent' };
    const mode = { mode: 'auto', gracePeriodMs: 1, endSessions: false } as const;
    const first = { rotationId: 'r', ...mode, at, by: 'admin', number: 1 } as const;
    expect(() =>
      authority.decide(none, { type: 'start-rotation', ...first, announcement, key: keyOf('k') }),
    ).toThrow('the cluster is not initialised');
    for (const read of [keysInUse, activeSigner]) expect(() => read(none)).toThrow('has no active key');
    expect([trustedKeys(none), keysOfSessions(none)]).toEqual([[], []]);
    expect(() => created().take(create)).toThrow('the host authority exists');
    const [step] = created().begin('second').facts;
    expect(step && authority.evolve(none, step)).toBe(none);
  });
});

describe('what is announced with a step', () => {
  it('has the number after the last one, else another has announced since and the step is refused', () => {
    const step = { rotationId: 'r', at, by: 'admin', left: [], announcement } as const;
    const begun = { type: 'start-rotation', mode: 'auto', gracePeriodMs: 1 } as const;
    const begin = { ...begun, key: keyOf('k'), endSessions: false };
    const rolledBack = created()
      .begin('second')
      .take({ ...step, type: 'roll-back-rotation', rotationId: 'to-second' });
    const finish = { type: 'finish-rotation', endSessions: false, rotationId: 'to-second' } as const;
    for (const number of [0, 2]) {
      for (const wanted of [begin, { type: 'replace-key', key: keyOf('k') } as const])
        expect(() => created().take({ ...step, ...wanted, number })).toThrow('changed since');
      expect(() => rolledBack.take({ ...step, ...finish, number: number + 1 })).toThrow('changed since');
    }
    expect(rolledBack.take({ ...step, ...finish, number: 2 }).facts).toHaveLength(1);
  });
});

describe('keys of an older release', () => {
  it('may be several, of which the one made last signs, in whatever order they were written', () => {
    const keys = [keyOf('later', '2026-01-02T00:00:00.000Z'), keyOf('earlier')].map(publicOf);
    const data = { type: 'host', clusterName: 'c', keys } as const;
    const state = authority.evolve(authority.initial, { type: 'authority.created', data });
    expect([activeSigner(state).keyId, ids(trustedKeys(state))]).toEqual(['later', 'later earlier']);
  });
});

describe('sessions that began under a key', () => {
  it('go on when it was rotated, and end when that was asked for, with those that an earlier one let stay', () => {
    const keys = created().rotate('second', false);
    expect(ids(keysOfSessions(keys.state))).toBe('second first');
    keys.rotate('third', false);
    expect(ids(keysOfSessions(keys.state))).toBe('third first second');
    keys.rotate('fourth', true);
    expect(ids(keysOfSessions(keys.state))).toBe('fourth');
    keys.rotate('fifth', false);
    expect(ids(keysOfSessions(keys.state))).toBe('fifth fourth');
  });
  it('end with a key that was replaced', () => {
    const keys = created().rotate('second', false);
    keys.replace('third', '2026-02-01T00:00:00.000Z');
    expect(ids(keysOfSessions(keys.state))).toBe('third');
    keys.replace('fourth', '2026-03-01T00:00:00.000Z').rotate('fifth', false);
    expect(ids(keysOfSessions(keys.state))).toBe('fifth fourth');
  });
  it('are said to end in the fact where they do', () => {
    const endOf = (keys: Keys): unknown => keys.facts[0]?.data;
    expect(endOf(created().rotate('second', true))).toMatchObject({ endSessions: true });
    expect(endOf(created().rotate('second', false))).not.toHaveProperty('endSessions');
  });
});

describe('keys that were withdrawn', () => {
  it('are remembered with when, by whom and why, the newest twenty of them', () => {
    const keys = created();
    for (let n = 1; n <= 21; n++) keys.replace(`key-${n}`);
    const { retired } = createdOf(keys.state);
    expect(retired).toHaveLength(20);
    expect([retired[0]?.key.keyId, retired.at(-1)?.key.keyId]).toEqual(['key-1', 'key-20']);
    expect(retired[0]).toMatchObject({ at, by: 'admin', why: 'replaced', endsSessions: true });
  });
});

describe('a fact of another rotation than the one under way', () => {
  it('changes nothing, nor does one of a rotation that is over', () => {
    const { state } = created().begin('second');
    const data = { rotationId: 'other', at, by: 'admin', left: [] };
    expect(authority.evolve(state, { type: 'authority.rotation_rolled_back', data })).toBe(state);
    const over = created().rotate('second', false).state;
    const again = { ...data, rotationId: 'to-second' };
    expect(authority.evolve(over, { type: 'authority.rotation_rolled_back', data: again })).toBe(over);
    const finish = { ...again, keyId: 'first', announcement };
    expect(authority.evolve(over, { type: 'authority.rotation_finished', data: finish })).toBe(over);
  });
});
