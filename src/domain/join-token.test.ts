import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hour, minute, plusMs } from '../base/time.ts';
import { isCoded } from '../base/errors.ts';
import { joinToken, type TokenCommand, type TokenFact, tokenLimits, type TokenUse } from './join-token.ts';
import { expectReplays, fold, scenario } from './testing.ts';

const given = scenario(joinToken);
const now = '2026-01-01T12:00:00.000Z';
const expiresAt = '2026-01-01T12:30:00.000Z';
const create = { type: 'create-token', now, roles: ['Node'], ttlMs: 30 * minute, uses: null } as const;
const created = (uses: number | null = null, roles: ('Node' | 'Proxy')[] = ['Node']): TokenFact => ({
  type: 'token.created',
  data: { roles, expiresAt, uses },
});
const machine = (n: number, role: 'Node' | 'Proxy' = 'Node', key = `SHA256:${n}`): TokenUse => ({
  hostId: `00000000-0000-4000-8000-00000000000${n}`,
  nodename: `n${n}`,
  role,
  address: `192.0.2.${n}:4000`,
  key,
});
const use = (who: TokenUse, at = now, staticRoles?: ('Node' | 'Proxy')[]) =>
  ({ type: 'use-token', now: at, use: who, staticRoles }) as const;
const used = (who: TokenUse): TokenFact => ({ type: 'token.used', data: who });

describe('making a token', () => {
  it('lasts as long as asked for, in each role once', () => {
    given()
      .when({ ...create, roles: ['Proxy', 'Node', 'Proxy'], uses: 3 })
      .then({
        type: 'token.created',
        data: { roles: ['Node', 'Proxy'], expiresAt, ttlMs: 30 * minute, uses: 3 },
      });
  });
  it('keeps to its limits', () => {
    for (const ttlMs of [minute, tokenLimits.maxMs])
      expect(joinToken.decide(joinToken.initial, { ...create, ttlMs })).toHaveLength(1);
    given()
      .when({ ...create, ttlMs: 48 * hour + 1 })
      .refused('bad_request', 'maximum token TTL is 48h0m0s');
    for (const ttlMs of [minute - 1, 0, -hour, Number.NaN, minute + 0.5])
      given()
        .when({ ...create, ttlMs })
        .refused('bad_request', 'minimum token TTL is 1m0s');
    for (const uses of [0, -1, 1.5, tokenLimits.maxUses + 1])
      given()
        .when({ ...create, uses })
        .refused('bad_request', 'uses: a number from 1 to 10000');
    given()
      .when({ ...create, roles: [] })
      .refused('bad_request');
  });
  it('takes a value again once the token of that value is over, and counts from nothing', () => {
    given(created()).when(create).refused('already_exists');
    for (const past of [
      [created(1), used(machine(1)), { type: 'token.deleted', data: {} }],
      [],
    ] as TokenFact[][])
      expect(fold(joinToken, [...past, created(1)])).toMatchObject({ status: 'active', used: 0, users: [] });
    given(created())
      .when({ ...create, now: expiresAt })
      .then({
        type: 'token.created',
        data: { roles: ['Node'], expiresAt: plusMs(expiresAt, 30 * minute), ttlMs: 30 * minute, uses: null },
      });
  });
});

describe('joining with a token', () => {
  it('is a fact that says who where uses are counted, and nothing of the token where they are not', () => {
    given(created(2))
      .when(use(machine(1)))
      .then(used(machine(1)));
    given(created())
      .when(use(machine(1)))
      .then();
    // Of an earlier release, which recorded each.
    given(created(), used(machine(1)))
      .when(use(machine(2)))
      .then();
  });
  it('works until the instant of expiry, and says when that was', () => {
    given(created(2))
      .when(use(machine(1), plusMs(expiresAt, -1)))
      .then(used(machine(1)));
    given(created())
      .when(use(machine(1), expiresAt))
      .refused('access_denied', `with role Node, the token expired at ${expiresAt}`);
  });
  it('is refused in another role, in the words of 4.4', () => {
    given(created())
      .when(use(machine(1, 'Proxy')))
      .refused(
        'bad_request',
        'node "n1" [00000000-0000-4000-8000-000000000001] can not join the cluster, the token does not allow "Proxy" role',
      );
  });
  it('says what became of the token', () => {
    given(created(1), used(machine(1)))
      .when(use(machine(2)))
      .refused('access_denied', 'the token is used up: it was made for 1 use');
    given(created(), { type: 'token.deleted', data: {} })
      .when(use(machine(1)))
      .refused('access_denied', 'the token was deleted');
    given()
      .when(use(machine(1)))
      .refused('access_denied', 'can not join the cluster with role Node, the token is not valid');
  });
  it('counts a machine once that asks again with the same key, and another key as another use', () => {
    const both = created(1, ['Node', 'Proxy']);
    given(both, used(machine(1)))
      .when(use(machine(1)))
      .then();
    for (const other of [machine(1, 'Node', 'SHA256:x'), machine(1, 'Proxy')])
      given(both, used(machine(1)))
        .when(use(other))
        .refused('access_denied', 'used up');
  });
  it('with one of the file asks for its role only, and is not counted; earlier releases did', () => {
    given()
      .when(use(machine(1), now, ['Node']))
      .then();
    given()
      .when(use(machine(1), now, ['Proxy']))
      .refused('bad_request', 'does not allow "Node" role');
    given(created(1), used(machine(1)))
      .when(use(machine(2), plusMs(expiresAt, hour), ['Node']))
      .then();
    expect(
      fold(
        joinToken,
        [1, 2, 3].map((n) => used(machine(n))),
      ),
    ).toMatchObject({ status: 'absent', used: 3 });
  });
  it('remembers a bounded number of those who used one without a limit', () => {
    const all = Array.from({ length: 100 }, (_, n) => used(machine(1, 'Node', `SHA256:${n}`)));
    const state = fold(joinToken, [created(), ...all]);
    expect([state.used, state.users.length]).toEqual([100, 32]);
  });
});

describe('deleting a token', () => {
  it('ends it; what is over already is not found', () => {
    const remove = { type: 'delete-token', now } as const;
    given(created()).when(remove).then({ type: 'token.deleted', data: {} });
    given().when(remove).refused('not_found');
    given(created(), { type: 'token.deleted', data: {} }).when(remove).refused('not_found');
    given(created())
      .when({ ...remove, now: expiresAt })
      .refused('not_found');
  });
});

const command: fc.Arbitrary<TokenCommand> = fc.oneof(
  fc.record({
    type: fc.constant('create-token' as const),
    now: fc.constantFrom(now, expiresAt),
    roles: fc.subarray(['Node', 'Proxy'] as const),
    ttlMs: fc.constantFrom(minute, hour, 0),
    uses: fc.constantFrom(null, 1, 2, 0),
  }),
  fc.record({
    type: fc.constant('use-token' as const),
    now: fc.constantFrom(now, expiresAt),
    use: fc
      .tuple(fc.integer({ min: 1, max: 3 }), fc.constantFrom('Node' as const, 'Proxy' as const))
      .map(([n, role]) => machine(n, role)),
    staticRoles: fc.constantFrom(undefined, ['Node'] as const),
  }),
  fc.record({ type: fc.constant('delete-token' as const), now: fc.constantFrom(now, expiresAt) }),
);

describe('whatever happens', () => {
  it('replays to the same state', () => {
    expectReplays(joinToken, command);
  });

  it('never admits more than it was made for, however joins interleave', () => {
    const joiner = fc.tuple(fc.integer({ min: 1, max: 9 }), fc.constantFrom('a', 'b'), fc.boolean());
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(joiner, { maxLength: 40 }), (uses, joiners) => {
        // A joiner decides by the log as it was; its append is taken only if nothing came between, else it
        // decides again.
        const log: TokenFact[] = [created(uses)];
        const admitted = new Set<string>();
        for (const [n, key, someoneWasFirst] of joiners) {
          const who = machine(n, 'Node', key);
          const decide = (facts: readonly TokenFact[]): readonly TokenFact[] | undefined => {
            try {
              return joinToken.decide(fold(joinToken, facts), use(who));
            } catch (e) {
              if (!isCoded(e, 'access_denied')) throw e;
              return undefined;
            }
          };
          const stale = decide(log);
          const rival = machine(n, 'Node', `rival of ${key}`);
          if (someoneWasFirst) {
            const facts = tryUse(log, rival);
            log.push(...facts);
            if (facts.length > 0) admitted.add(`${n}/${rival.key}`);
          }
          const facts = someoneWasFirst ? decide(log) : stale;
          if (!facts) continue;
          log.push(...facts);
          admitted.add(`${n}/${key}`);
        }
        expect(admitted.size).toBeLessThanOrEqual(uses);
        expect(log.filter((fact) => fact.type === 'token.used').length).toBeLessThanOrEqual(uses);
      }),
    );
  });
});

function tryUse(log: readonly TokenFact[], who: TokenUse): readonly TokenFact[] {
  try {
    return joinToken.decide(fold(joinToken, log), use(who));
  } catch (e) {
    if (!isCoded(e)) throw e;
    return [];
  }
}
