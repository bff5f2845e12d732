import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plusMs } from '../base/time.ts';
import { host, hostFact } from '../domain/host.ts';
import { joinToken, tokenFact } from '../domain/join-token.ts';
import { user } from '../domain/user.ts';
import { type UserFact, userFact } from '../domain/user-fact.ts';
import type { Fact, Recorded, StreamName } from '../log/event.ts';
import { decidedView, startsIn } from './decided.ts';
import { hostsView } from './hosts.ts';
import { typesOf } from './read-fact.ts';
import { recordedAt } from './testing.ts';
import type { Projection } from './view.ts';

const at = '2026-01-01T12:00:00.000Z';
const addresses = { remote: 'r', local: 'l' };
const created: UserFact = {
  type: 'user.created',
  data: { username: 'joe', roles: ['admin'], traits: { logins: ['joe'] } },
};
const loggedIn: UserFact = {
  type: 'user.logged_in',
  data: { method: 'local', otp: { status: 'matched', step: 7 }, addresses, source: 'here' },
};
const record = (name: string) => ({
  ...{
    hostId: '00000000-0000-4000-8000-0000000000b1',
    role: 'Node',
    nodename: name,
    address: '10.0.0.1:3022',
    publicAddress: '',
  },
  ...{ sshPublicAddress: '', labels: {}, version: '1' },
});
const admitted = (by?: string): Fact => ({
  type: 'host.admitted',
  data: {
    ...{ role: 'Node', nodename: 'n', key: `k-${by}`, previousKey: '', tokenId: 't', address: '' },
    ...(by === undefined ? {} : { by }),
  },
});
const used = (joiner: string): Fact => ({
  type: 'token.used',
  data: { hostId: joiner, nodename: joiner, role: 'Node', key: 'k', address: '' },
});
const unreadable: Fact = { type: 'user.enlightened', data: {} };

const hostName = 'host-00000000-0000-4000-8000-0000000000b1';
const about: readonly (readonly [StreamName, Fact])[] = [
  ['user-joe', created],
  ['user-joe', loggedIn],
  ['user-joe', { type: 'user.otp_set', data: { otpId: 'o', usedStep: 1 } }],
  ['user-joe', { type: 'user.login_refused', data: { reason: 'x', at, addresses, source: 'there' } }],
  ['user-joe', { type: 'user.locked', data: { until: plusMs(at, 1), reason: 'x', forMs: 5 } }],
  ['user-joe', { type: 'user.deleted', data: {} }],
  [hostName, { type: 'host.joined', data: { host: record('a') } }],
  [hostName, { type: 'host.changed', data: { host: record('b') } }],
  [hostName, { type: 'host.left', data: { role: 'Node', reason: 'x' } }],
  [hostName, admitted()],
  [hostName, admitted('renewal')],
  [hostName, admitted('token')],
  ['token-t', used('m1')],
  ['token-t', used('m2')],
  ['role-r', { type: 'role.created', data: {} }],
];

/** The events of a log: each stream has revisions of its own. */
function eventsOf(facts: readonly (readonly [StreamName, Fact])[]): readonly Recorded[] {
  const revisions = new Map<StreamName, number>();
  return facts.map(([stream, fact], i) => {
    const revision = (revisions.get(stream) ?? 0) + 1;
    revisions.set(stream, revision);
    return { ...recordedAt(i + 1, stream, fact), revision };
  });
}
const viewOf = <S>(projection: Projection<S>, events: readonly Recorded[]) => {
  const state = events.reduce((before, event) => projection.apply(before, event), projection.initial);
  // It goes through a snapshot.
  const stored = projection.decode(JSON.parse(JSON.stringify(projection.encode(state))));
  return { state: () => stored, position: () => events.at(-1)?.position ?? 0, failure: () => undefined };
};
/** @param further events that the view of hosts alone has, so far. */
const starts = (events: readonly Recorded[], further: readonly Recorded[] = []) =>
  startsIn({ decided: viewOf(decidedView, events), hosts: viewOf(hostsView, [...events, ...further]) });

describe('what decisions begin with', () => {
  it('is the state that their decider folds from all that happened', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...about), { maxLength: 30 }), (facts) => {
        const events = eventsOf(facts);
        const begin = starts(events);
        for (const [stream, decider] of [
          ['user-joe', user],
          [hostName, host],
          ['token-t', joinToken],
        ] as const) {
          const own = events.filter((event) => event.stream === stream);
          const whole = own.reduce<unknown>(
            (state, { fact }) => decider.evolve(state as never, decider.fact.parse(fact) as never),
            decider.initial,
          );
          const expected = own.length === 0 ? undefined : { state: whole, revision: own.length };
          expect(begin(decider as typeof user, stream)).toEqual(
            expected && expect.objectContaining(expected),
          );
        }
      }),
    );
  });

  it('is nothing after a fact that this release cannot read, whatever follows', () => {
    const events = eventsOf([
      ['user-joe', created],
      ['user-joe', unreadable],
      ['user-joe', created],
      ['user-amy', created],
      ['user-amy', { type: 'user.deleted', data: { critical: ['a name'] } }],
    ]);
    expect(starts(events)(user, 'user-joe')).toBeUndefined();
    expect(starts(events)(user, 'user-amy')).toBeUndefined();
    expect(starts(events.slice(0, 1))(user, 'user-joe')).toMatchObject({ revision: 1 });
  });

  it('is nothing where an event is missing, for another decider, and while the fold has stopped', () => {
    const [first, , third] = eventsOf([
      ['user-joe', created],
      ['user-joe', loggedIn],
      ['user-joe', loggedIn],
    ]);
    if (first === undefined || third === undefined) throw new Error('three events');
    expect(starts([first, third])(user, 'user-joe')).toBeUndefined();
    expect(starts([third])(user, 'user-joe')).toBeUndefined();
    expect(starts([first])({ ...user }, 'user-joe')).toBeUndefined();
    const [decided, hosts] = [viewOf(decidedView, [first]), viewOf(hostsView, [first])];
    const failure = (): Error => new Error('it went back');
    expect(startsIn({ decided, hosts })(user, 'user-joe')).toBeDefined();
    expect(startsIn({ decided: { ...decided, failure }, hosts })(user, 'user-joe')).toBeUndefined();
    expect(startsIn({ decided, hosts: { ...hosts, failure } })(user, 'user-joe')).toBeUndefined();
  });

  it('of hosts is nothing where their view does not have it, or has it later than this', () => {
    const events = eventsOf([
      [hostName, { type: 'host.joined', data: { host: record('a') } }],
      [hostName, admitted()],
      [hostName, { type: 'host.changed', data: { host: record('b') } }],
    ]);
    const [decided, behind] = [viewOf(decidedView, events), viewOf(hostsView, events.slice(0, 2))];
    expect(startsIn({ decided, hosts: behind })(host, hostName)).toBeUndefined();
    // Ahead: what follows the revision says it again.
    expect(starts(events.slice(0, 2), events.slice(2))(host, hostName)).toMatchObject({
      revision: 2,
      state: { roles: { Node: { nodename: 'b' } }, admitted: { Node: { tokenId: 't' } } },
    });
    for (const role of ['Printer', 'Node'] as const) {
      const odd = { ...record('a'), role, nodename: role === 'Node' ? 'a\u0000b' : 'a' };
      const said = eventsOf([[hostName, { type: 'host.joined', data: { host: odd } }]]);
      expect(starts(said)(host, hostName)).toBeUndefined();
    }
  });

  it('keeps users and hosts, and forgets tokens that nobody uses any more', () => {
    const one = eventsOf([
      ['token-t', used('m1')],
      ['user-joe', created],
    ]);
    const later = Array.from({ length: 200 }, (_, i) => ({
      ...recordedAt(100_000 + i, `token-t${i}`, used('m')),
      revision: 1,
    }));
    const begin = starts([...one, ...later]);
    expect(begin(joinToken, 'token-t')).toBeUndefined();
    expect(begin(joinToken, 'token-t7')).toMatchObject({ revision: 1 });
    expect(begin(user, 'user-joe')).toMatchObject({ revision: 1 });
  });

  it('has another name for each set of facts that its deciders read', () => {
    const read = Object.fromEntries(
      Object.entries({ user: userFact, host: hostFact, token: tokenFact }).map(([name, schema]) => [
        name,
        [...typesOf(schema)].map((type) => type.slice(type.indexOf('.') + 1)),
      ]),
    );
    // Raise the name with each change of these, and of the states.
    expect({ name: decidedView.name, read }).toMatchInlineSnapshot(`
      {
        "name": "decided.2",
        "read": {
          "host": [
            "joined",
            "changed",
            "left",
            "admitted",
          ],
          "token": [
            "created",
            "used",
            "deleted",
          ],
          "user": [
            "created",
            "invited",
            "password_reset",
            "password_set",
            "otp_set",
            "logged_in",
            "login_refused",
            "locked",
            "unlocked",
            "attempts_apart",
            "roles_changed",
            "traits_changed",
            "deleted",
          ],
        },
      }
    `);
  });
});
