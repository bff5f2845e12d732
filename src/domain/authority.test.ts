import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isCoded } from '../base/errors.ts';
import { authority } from './authority.ts';
import type { AuthorityCommand, NewAuthorityKey } from './authority-commands.ts';
import { type AuthorityState, type CreatedAuthority, keysInUse, keyThatLasts } from './authority-state.ts';
import type { AuthorityFact } from './authority-facts.ts';
import { nextStep, type RotationPhase } from './rotation.ts';
import { expectReplays } from './testing.ts';

const at = '2026-01-01T00:00:00.000Z';
const announcement = { text: '', signatures: [] };
const bytes = new Uint8Array();
const keyOf = (keyId: string): NewAuthorityKey => ({
  ...{ keyId, sshPublicKey: `ssh ${keyId}`, tlsCertificatePem: `tls ${keyId}`, activeFrom: at },
  ...{ sshPrivateKey: bytes, tlsPrivateKey: bytes },
});
const step = { at, by: 'admin', rotationId: 'r1', left: [] } as const;
const commands = {
  create: { type: 'create-authority', authority: 'host', clusterName: 'c', key: keyOf('old') },
  init: {
    ...{ type: 'start-rotation', rotationId: 'r1', mode: 'auto', gracePeriodMs: 90_000, endSessions: false },
    ...{ at, by: 'admin', key: keyOf('new'), announcement, number: 1 },
  },
  update_clients: { ...step, type: 'advance-rotation', phase: 'update_clients' },
  update_servers: { ...step, type: 'advance-rotation', phase: 'update_servers' },
  rollback: { ...step, type: 'roll-back-rotation' },
  standby: { ...step, type: 'finish-rotation', endSessions: false, announcement, number: 2 },
  replace: { ...step, type: 'replace-key', key: keyOf('replacement'), announcement, number: 1 },
} as const satisfies Record<string, AuthorityCommand>;
type Name = keyof typeof commands;

/** With the number that an announcement has then. */
const numbered = (state: AuthorityState, command: AuthorityCommand): AuthorityCommand =>
  'announcement' in command && state.status === 'created'
    ? { ...command, number: state.announcements + 1 }
    : command;
const taken = (before: AuthorityState, command: AuthorityCommand): AuthorityState =>
  authority
    .decide(before, numbered(before, command))
    .reduce<AuthorityState>((now, fact) => authority.evolve(now, fact), before);

const after = (...names: readonly Name[]): CreatedAuthority => {
  const state = names.map((name) => commands[name]).reduce(taken, authority.initial);
  return state.status === 'created' ? state : expect.unreachable();
};

/** Ids of what signs, what machines show as clients and as servers, and all that is trusted. */
const used = (state: AuthorityState): string => {
  const { signs, clients, servers, trusted } = keysInUse(state);
  const ids = [signs, clients, servers].map(({ keyId }) => keyId).join(' ');
  return `${ids} | ${trusted.map(({ keyId }) => keyId).join(' ')}`;
};

const refusalOf = (state: AuthorityState, command: AuthorityCommand): string => {
  try {
    authority.decide(state, numbered(state, command));
    return 'taken';
  } catch (e) {
    return isCoded(e, 'bad_request') ? e.message : `not coded: ${String(e)}`;
  }
};

describe('a rotation', () => {
  it.each([
    [[], 'old old old | old'],
    [['init'], 'old old old | old new'],
    [['init', 'update_clients'], 'new new old | new old'],
    [['init', 'update_clients', 'update_servers'], 'new new new | new old'],
    [['init', 'update_clients', 'update_servers', 'standby'], 'new new new | new'],
    [['init', 'rollback'], 'old old old | old new'],
    [['init', 'update_clients', 'rollback'], 'old old old | old new'],
    [['init', 'update_clients', 'update_servers', 'rollback'], 'old old old | old new'],
    [['init', 'rollback', 'standby'], 'old old old | old'],
    [['init', 'update_clients', 'update_servers', 'rollback', 'standby'], 'old old old | old'],
    [['replace'], 'replacement replacement replacement | replacement'],
    [['init', 'update_clients', 'replace'], 'replacement replacement replacement | replacement'],
  ] as const)('after %s uses and trusts %s', (names, expected) => {
    expect(used(after('create', ...names))).toBe(expected);
  });

  it.each([
    [[], undefined],
    [['init'], 'new'],
    [['init', 'update_clients'], 'new'],
    [['init', 'update_clients', 'update_servers'], 'new'],
    [['init', 'update_clients', 'rollback'], 'old'],
    [['init', 'rollback', 'standby'], undefined],
  ] as const)('after %s lasts with the key %s', (names, lasting) => {
    expect(keyThatLasts(after('create', ...names))?.keyId).toBe(lasting);
  });

  it('takes its steps in order, and names the phase that is current and who brought it there', () => {
    const phases: readonly (readonly [RotationPhase, readonly Name[]])[] = [
      ['standby', ['create']],
      ['init', ['create', 'init']],
      ['update_clients', ['create', 'init', 'update_clients']],
      ['update_servers', ['create', 'init', 'update_clients', 'update_servers']],
      ['rollback', ['create', 'init', 'rollback']],
    ];
    const targets = ['init', 'update_clients', 'update_servers', 'standby', 'rollback'] as const;
    const tried = phases.flatMap(([phase, names]) =>
      targets.map((target) => `${phase} -> ${target}: ${refusalOf(after(...names), commands[target])}`),
    );
    expect(tried.filter((line) => line.endsWith(': taken'))).toEqual([
      'standby -> init: taken',
      'init -> update_clients: taken',
      'init -> rollback: taken',
      'update_clients -> update_servers: taken',
      'update_clients -> rollback: taken',
      'update_servers -> standby: taken',
      'update_servers -> rollback: taken',
      'rollback -> standby: taken',
    ]);
    expect(tried).toContain(
      'standby -> update_clients: can only switch to phase update_clients from init, current phase is standby',
    );
    expect(tried).toContain(
      'init -> init: can not initiate rotation while another is in progress, current phase is init, ' +
        `since ${at} by admin`,
    );
  });

  it('ends sessions with the old key where it was begun so, or where the last step says so', () => {
    const begun = { ...commands.init, endSessions: true };
    const ends = (first: AuthorityCommand, ...more: AuthorityCommand[]): boolean | undefined => {
      const state = [first, ...more].reduce(taken, after('create'));
      return state.status === 'created' ? state.retired.at(-1)?.endsSessions : undefined;
    };
    const { update_clients, update_servers, rollback, standby } = commands;
    expect(ends(begun, update_clients, update_servers, standby)).toBe(true);
    expect(ends(commands.init, update_clients, update_servers, { ...standby, endSessions: true })).toBe(true);
    expect(ends(commands.init, update_clients, update_servers, standby)).toBe(false);
    // The new key is withdrawn: that was not wanted.
    expect(ends(begun, rollback, standby)).toBe(false);
  });

  it('is not taken further by a step of another rotation', () => {
    const late = { ...commands.update_clients, rotationId: 'r0' };
    expect(() => authority.decide(after('create', 'init'), late)).toThrow('another rotation has begun since');
  });

  it('follows a rollback', () => {
    const state = after('create', 'init', 'update_clients', 'rollback', 'standby');
    const key = keyOf('third');
    const again = [
      { ...commands.init, rotationId: 'r2', key },
      { ...commands.update_clients, rotationId: 'r2' },
      { ...commands.update_servers, rotationId: 'r2' },
      { ...commands.standby, rotationId: 'r2' },
    ].reduce(taken, state);
    expect(used(again)).toBe('third third third | third');
    expect(again).toMatchObject({
      rotation: { phase: 'standby', lastRotatedAt: at, lastRotationId: 'r2' },
      retired: [
        { key: { keyId: 'new' }, why: 'rolled_back', by: 'admin' },
        { key: { keyId: 'old' }, why: 'rotated' },
      ],
    });
  });

  it('does not count as one that took place when it was rolled back', () => {
    expect(after('create', 'init', 'rollback', 'standby').rotation).toEqual({
      phase: 'standby',
      lastRotatedAt: null,
      lastRotationId: 'r1',
    });
  });

  it('takes no grace period of nothing, and no key that is there', () => {
    const state = after('create');
    expect(() => authority.decide(state, { ...commands.init, gracePeriodMs: 0 })).toThrow(
      'the grace period must be greater than 0',
    );
    expect(() => authority.decide(state, { ...commands.init, key: keyOf('old') })).toThrow('the id of one');
  });

  it('marks the fact that withdraws a key as one that every release must know', () => {
    const facts = authority.decide(after('create', 'init', 'rollback'), commands.standby);
    const replaced = authority.decide(after('create'), commands.replace);
    for (const { data } of [...facts, ...replaced])
      expect(data).toMatchObject({ critical: ['authority-rotation'] });
  });

  it('goes on by itself in thirds of its grace period, and not after a rollback', () => {
    const { rotation } = after('create', 'init');
    if (rotation.phase === 'standby') expect.unreachable();
    else expect(nextStep(rotation)).toEqual({ phase: 'update_clients', at: '2026-01-01T00:00:30.000Z' });
    const back = after('create', 'init', 'rollback').rotation;
    if (back.phase === 'standby') expect.unreachable();
    else expect(nextStep(back)).toEqual({ phase: 'standby', at: undefined });
  });

  it('is announced again only of the keys that are trusted', () => {
    const again = { type: 'announce-keys', at, announcement, number: 2 } as const;
    const state = after('create', 'init');
    expect(authority.decide(state, { ...again, keyIds: ['old', 'new'] })).toHaveLength(1);
    expect(() => authority.decide(state, { ...again, keyIds: ['old'] })).toThrow('changed since');
    expect(() => authority.decide(state, { ...again, keyIds: ['old', 'new'], number: 1 })).toThrow(
      'changed since',
    );
  });

  it('always has a key that signs, trusts what it uses, and at most two', () => {
    fc.assert(
      fc.property(fc.array(anyCommand, { maxLength: 30 }), (tried) => {
        let state: AuthorityState = after('create');
        for (const command of tried) {
          const before: AuthorityState = state;
          const { trusted } = keysInUse(before);
          const facts = factsOf(before, command);
          state = facts.reduce<AuthorityState>((now, fact) => authority.evolve(now, fact), before);
          const now = keysInUse(state);
          for (const key of [now.signs, now.clients, now.servers]) expect(now.trusted).toContain(key);
          expect(now.trusted.length).toBeLessThanOrEqual(2);
          // What is shown from now on was trusted before, unless everything was withdrawn at once.
          if (facts.every(({ type }) => type !== 'authority.replaced'))
            for (const key of [now.signs, now.clients, now.servers]) expect(trusted).toContainEqual(key);
        }
      }),
    );
  });

  it('replays', () => {
    expectReplays(authority, anyCommand);
  });
});

const factsOf = (state: AuthorityState, command: AuthorityCommand): readonly AuthorityFact[] => {
  try {
    return authority.decide(state, numbered(state, command));
  } catch (e) {
    if (!isCoded(e)) throw e;
    return [];
  }
};

const anyCommand: fc.Arbitrary<AuthorityCommand> = fc
  .tuple(fc.constantFrom(...(Object.keys(commands) as Name[])), fc.constantFrom('r1', 'r2'), fc.nat(1000))
  .map(([name, rotationId, n]): AuthorityCommand => {
    const command = commands[name];
    if (command.type === 'create-authority') return command;
    return 'key' in command ? { ...command, rotationId, key: keyOf(`key-${n}`) } : { ...command, rotationId };
  });

describe('an authority that is restored', () => {
  it('goes on with the numbers of its announcements, and remembers its last rotation', () => {
    const rotated = { announcements: 4, announcement, lastRotatedAt: at, lastRotationId: 'r0' };
    const before = taken(authority.initial, { ...commands.create, rotated });
    expect(before).toMatchObject({
      announcements: 4,
      announcement,
      rotation: { phase: 'standby', lastRotatedAt: at, lastRotationId: 'r0' },
    });
    expect(() => authority.decide(before, commands.init)).toThrow(/changed since/);
    expect(taken(before, commands.init)).toMatchObject({ announcements: 5, rotation: { phase: 'init' } });
  });
});
