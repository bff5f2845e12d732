import { describe, expect, it } from 'vitest';
import { hour, plusMs } from '../base/time.ts';
import { adminRole } from '../domain/preset-roles.ts';
import type { Fact, StreamName } from '../log/event.ts';
import { hostsView } from './hosts.ts';
import { invitesView } from './invites.ts';
import { locksView } from './locks.ts';
import { type PresenceState, presenceViewBy } from './presence.ts';
import { requestsView } from './requests.ts';
import { rolesView } from './roles.ts';
import { recordedAt } from './testing.ts';
import { tokenIdOf } from '../domain/join-token.ts';
import { tokensView } from './tokens.ts';
import { usersView } from './users.ts';
import type { Projection } from './view.ts';

/*
 * What one more event costs must not grow with what a view holds. Steps are counted rather than timed: each
 * entry of the stored state counts how often it is looked at, and whatever the new state does not share with
 * the old was copied.
 */
const at = '2026-01-01T00:00:00.000Z';
const addresses = { remote: '192.0.2.1:1', local: '192.0.2.2:1' };

interface Kind {
  readonly projection: Projection<never>;
  /** How the n-th comes about. */
  readonly made: (n: number) => readonly [StreamName, Fact];
  /** What may happen to it. */
  readonly later: (n: number) => readonly (readonly [StreamName, Fact])[];
}

const nameOf = (n: number): string =>
  `${((n * 7919) % 1_000_003).toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`;
const host = (n: number): object => ({
  hostId: nameOf(n),
  role: 'Node',
  nodename: nameOf(n),
  address: '192.0.2.7:3022',
  publicAddress: '',
  sshPublicAddress: '',
  labels: { team: 'a' },
  version: '1.0.0',
});
const kind = <S>(
  projection: Projection<S>,
  made: Kind['made'],
  ...later: ((n: number) => readonly [StreamName, Fact])[]
): Kind => ({
  projection: projection as Projection<never>,
  made,
  later: (n) => later.map((one) => one(n)),
});

/** It forgets only what it has followed for long: two hours pass once it is opened. */
function presenceLater(): Projection<PresenceState> {
  let ms = 0;
  const view = presenceViewBy({ now: () => at, monotonic: () => ms });
  return {
    ...view,
    decode: (stored) => {
      const opened = view.decode(stored);
      ms += 2 * hour;
      return opened;
    },
  };
}

const request = {
  ...{ user: 'ann', lifeId: 'l', roles: ['dba'], annotations: {} },
  expiresAt: plusMs(at, hour),
};
const userOf = (n: number): StreamName => `user-${nameOf(n)}`;
const kinds: Readonly<Record<string, Kind>> = {
  users: kind(
    usersView,
    (n) => [userOf(n), { type: 'user.created', data: { username: nameOf(n), roles: ['admin'], traits: {} } }],
    (n) => [userOf(n), { type: 'user.login_refused', data: { reason: 'wrong_password', at, addresses } }],
    (n) => [userOf(n), { type: 'user.locked', data: { until: plusMs(at, hour), reason: 'failures' } }],
    (n) => [userOf(n), { type: 'user.unlocked', data: {} }],
    (n) => [userOf(n), { type: 'user.deleted', data: {} }],
  ),
  roles: kind(
    rolesView,
    (n) => [`role-${nameOf(n)}`, { type: 'role.created', data: { role: { ...adminRole, name: nameOf(n) } } }],
    (n) => [`role-${nameOf(n)}`, { type: 'role.updated', data: { role: { ...adminRole, name: nameOf(n) } } }],
    (n) => [`role-${nameOf(n)}`, { type: 'role.deleted', data: { name: nameOf(n) } }],
  ),
  tokens: kind(
    tokensView,
    (n) => [
      `token-${nameOf(n)}`,
      { type: 'token.created', data: { roles: ['Node'], expiresAt: plusMs(at, hour), uses: null } },
    ],
    (n) => [
      `token-${nameOf(n)}`,
      {
        type: 'token.used',
        data: { hostId: nameOf(n), nodename: 'n', role: 'Node', address: '192.0.2.1:1', key: 'k' },
      },
    ],
    (n) => [
      `host-${nameOf(n)}`,
      {
        type: 'host.admitted',
        data: {
          ...{ role: 'Node', nodename: nameOf(n), key: 'k', previousKey: '', address: '192.0.2.7:40000' },
          ...{ tokenId: tokenIdOf(nameOf(n)), by: 'token' },
        },
      },
    ],
    (n) => [`token-${nameOf(n)}`, { type: 'token.deleted', data: {} }],
  ),
  hosts: kind(
    hostsView,
    (n) => [`host-${nameOf(n)}`, { type: 'host.joined', data: { host: host(n) } }],
    (n) => [`host-${nameOf(n)}`, { type: 'host.changed', data: { host: { ...host(n), version: '1.0.1' } } }],
    (n) => [`host-${nameOf(n)}`, { type: 'host.left', data: { role: 'Node', reason: 'gone' } }],
  ),
  invites: kind(
    invitesView,
    (n) => [
      `invite-${nameOf(n)}`,
      {
        type: 'invite.created',
        data: { username: 'u', purpose: 'invite', expiresAt: plusMs(at, hour), ttlMs: hour },
      },
    ],
    (n) => [`invite-${nameOf(n)}`, { type: 'invite.accepted', data: {} }],
  ),
  // All of one person and one role; all of one target.
  requests: kind(
    requestsView,
    (n) => [`request-${nameOf(n)}`, { type: 'request.created', data: { ...request, reason: 'r' } }],
    (n) => [
      `request-${nameOf(n)}`,
      {
        type: 'request.resolved',
        data: { ...request, state: 'approved', reason: '', delegator: '' },
      },
    ],
    (n) => [`request-${nameOf(n)}`, { type: 'request.ended', data: { reason: 'removed' } }],
  ),
  locks: kind(
    locksView,
    (n) => [
      `lock-${nameOf(n)}`,
      { type: 'lock.created', data: { target: { kind: 'user', name: 'ann' }, message: '' } },
    ],
    (n) => [`lock-${nameOf(n)}`, { type: 'lock.ended', data: { reason: 'unlocked' } }],
  ),
  presence: kind(presenceLater(), (n) => [
    'presence-auth-1',
    {
      type: 'hosts.renewed',
      data: { hosts: [{ hostId: nameOf(n), role: 'Node', seenAt: at, ttlSeconds: 60 }] },
    },
  ]),
};

/** What a snapshot has of `count` of them: one that was folded, under many names. */
function storedText({ projection, made }: Kind, count: number): string {
  const folded = projection.apply(projection.initial, recordedAt(1, ...made(1)));
  const encoded = projection.encode(folded) as Entries | Readonly<Record<string, Entries>>;
  // Some are called by the first digits of a name.
  const digits = (name: string): string => name.slice(0, 8);
  const names = Array.from({ length: count }, (_, i) => nameOf(i + 1)).sort();
  const many = ([entry]: Entries): string => {
    if (entry === undefined) return '[]';
    const text = JSON.stringify(entry);
    return `[${names.map((name) => text.replaceAll(digits(nameOf(1)), digits(name))).join(',')}]`;
  };
  if (isEntries(encoded)) return many(encoded);
  return `{${Object.entries(encoded)
    .map(([key, entries]) => `"${key}":${many(entries)}`)
    .join(',')}}`;
}
type Entries = readonly object[];
const isEntries = (stored: unknown): stored is Entries => Array.isArray(stored);

/** As it would be stored; `looks` counts each look at one of its entries, or at the value of one. */
function counted(stored: unknown, looks: { count: number }): unknown {
  const counting = <T extends object>(target: T, inner: boolean): T =>
    new Proxy(target, {
      get: (of, name, receiver) => {
        looks.count++;
        const value: unknown = Reflect.get(of, name, receiver);
        return inner && typeof value === 'object' && value !== null ? counting(value, false) : value;
      },
    });
  const all = (entries: Entries): Entries => entries.map((entry) => counting(entry, true));
  if (isEntries(stored)) return all(stored);
  const kept = Object.entries(stored as Readonly<Record<string, Entries>>);
  return Object.fromEntries(kept.map(([key, entries]) => [key, all(entries)]));
}

/** How many places of arrays and objects `state` has that `before` does not share. */
function copiedPlaces(before: unknown, state: unknown): number {
  const old = objectsIn(before);
  let places = 0;
  for (const one of objectsIn(state)) if (!old.has(one)) places += Array.isArray(one) ? one.length : 1;
  return places;
}

function objectsIn(root: unknown): Set<object> {
  const found = new Set<object>();
  const open = [root];
  for (let one = open.pop(); one !== undefined; one = open.pop())
    if (typeof one === 'object' && one !== null && !found.has(one)) {
      found.add(one);
      open.push(...(Object.values(one) as unknown[]).filter((value) => typeof value === 'object'));
    }
  return found;
}

const most = { looks: 500, places: 250 };

describe.each(Object.entries(kinds))('one more of %s', (_name, one) => {
  const { projection, made, later } = one;
  const events = [made(200_000), ...later(77), ...later(200_000)];

  it.each([1_000, 30_000])('looks at a few among %d, and copies a few', { timeout: 60_000 }, (count) => {
    const stored: unknown = JSON.parse(storedText(one, count));
    const looks = { count: 0 };
    let state = projection.decode(counted(stored, looks));
    for (const [i, [stream, fact]] of events.entries()) {
      looks.count = 0;
      state = projection.apply(state, recordedAt(count + 1 + i, stream, fact));
      expect([fact.type, looks.count]).toEqual([fact.type, Math.min(looks.count, most.looks)]);
    }
    const before = projection.decode(stored);
    const [[stream, fact]] = [made(200_000)];
    expect(copiedPlaces(before, projection.apply(before, recordedAt(count + 1, stream, fact)))).toBeLessThan(
      most.places,
    );
  });

  it('comes back from what was stored as it was stored', () => {
    const stored: unknown = JSON.parse(storedText(one, 500));
    expect('known' in (stored as object) ? (stored as { known: object[] }).known : stored).toHaveLength(500);
    expect(projection.encode(projection.decode(stored))).toEqual(stored);
  });
});

/** By what this thread worked: others on the machine make a clock go on, and this not. */
function cpuMs<T>(act: () => T): readonly [ms: number, result: T] {
  const before = process.threadCpuUsage();
  const result = act();
  const { user, system } = process.threadCpuUsage(before);
  return [(user + system) / 1000, result];
}

/*
 * Two seconds for opening and 0.1 ms for one more, on a machine that parses the text of all kinds in one: as
 * multiples of that parsing, in the same run, so that a slow or busy machine changes both sides. The least of
 * three, since what disturbs only adds; the folds are short enough that a collection of garbage may fall into
 * each of three, and are measured twelve times.
 */
it(
  '100,000 of each kind are opened in twice the time of parsing them, one more costs less than parsing 50',
  {
    timeout: 120_000,
  },
  () => {
    const held = 100_000;
    const more = 1_000;
    const names = Object.keys(kinds);
    const least = Object.fromEntries(
      names.map((name) => [name, { parsing: Infinity, opening: Infinity, more: Infinity }]),
    );
    for (const [name, one] of Object.entries(kinds)) {
      const text = storedText(one, held);
      const ofKind = least[name] ?? { parsing: 0, opening: 0, more: 0 };
      for (let round = 0; round < 3; round++) {
        const [parsing, stored] = cpuMs(() => JSON.parse(text) as unknown);
        const [decoding, opened] = cpuMs(() => one.projection.decode(stored));
        ofKind.parsing = Math.min(ofKind.parsing, parsing);
        ofKind.opening = Math.min(ofKind.opening, parsing + decoding);
        for (let fold = 0; fold < 4; fold++) {
          const [folding] = cpuMs(() => {
            let state = opened;
            for (let n = held + 1; n <= held + more; n++)
              state = one.projection.apply(state, recordedAt(n, ...one.made(n)));
          });
          ofKind.more = Math.min(ofKind.more, folding / more);
        }
      }
    }
    const sum = (what: 'parsing' | 'opening'): number =>
      Object.values(least).reduce((all, ofKind) => all + ofKind[what], 0);
    const perEntry = sum('parsing') / (names.length * held);
    for (const [name, ofKind] of Object.entries(least))
      expect([name, ofKind.more < 50 * perEntry, ofKind.more, perEntry]).toEqual([
        name,
        true,
        ofKind.more,
        perEntry,
      ]);
    expect(sum('opening')).toBeLessThan(2 * sum('parsing'));
  },
);
