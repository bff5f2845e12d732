import { describe, expect, it } from 'vitest';
import type { AuthorityFact } from '../../domain/authority-facts.ts';
import type { UserFact } from '../../domain/user-fact.ts';
import { generateEd25519 } from '../../pki/key-pair.ts';
import { type Certificate, issueCertificate, parseCertificate } from '../../pki/ssh-certificate.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import { authoritiesView } from '../../views/authorities.ts';
import { locksView } from '../../views/locks.ts';
import { requestsView } from '../../views/requests.ts';
import { project } from '../../views/testing.ts';
import { usersView } from '../../views/users.ts';
import { admitClient, type Admission, lockOnClient } from './admit-client.ts';

const bornAt = '2026-01-01T12:00:00.000Z';
const now = '2026-01-01T13:00:00.000Z';
const seconds = (at: string): bigint => BigInt(Date.parse(at) / 1000);
const [trusted, strange] = [generateEd25519(), generateEd25519()];

const authorities = project(authoritiesView, [
  [
    'authority-user',
    {
      type: 'authority.created',
      data: {
        type: 'user',
        clusterName: 'example',
        keys: [
          {
            keyId: 'k1',
            sshPublicKey: toAuthorizedKeyLine(publicKeyOf(trusted).blob),
            tlsCertificatePem: '',
            activeFrom: bornAt,
          },
        ],
      },
    } satisfies AuthorityFact,
  ],
]);
const created: UserFact = { type: 'user.created', data: { username: 'joe', roles: ['admin'], traits: {} } };
const usersAfter = (...facts: UserFact[]): Admission['users'] =>
  project(
    usersView,
    [created, ...facts].map((fact) => ['user-joe', fact, bornAt] as const),
  );
const certificate = (
  wish: { serial?: bigint; keyId?: string; ca?: typeof trusted; from?: string } = {},
): Certificate =>
  parseCertificate(
    issueCertificate({
      key: publicKeyOf(generateEd25519()),
      ca: wish.ca ?? trusted,
      kind: 'user',
      serial: wish.serial ?? 0n,
      keyId: wish.keyId ?? 'joe',
      principals: ['root'],
      validAfter: seconds(wish.from ?? now) - 60n,
      validBefore: seconds(now) + 3600n,
    }),
  );
const admit = (
  one: Certificate,
  wish: Partial<Admission> = {},
  asked: 'at_login' | 'while_connected' = 'at_login',
): void => {
  const cluster = {
    ...{ authorities, users: usersAfter(), locks: locksView.initial, requests: requestsView.initial },
    ...{ now, failure: undefined },
  };
  admitClient(one, { ...cluster, ...wish }, asked);
};
const refused = (why: RegExp): unknown =>
  expect.objectContaining({ code: 'access_denied', message: expect.stringMatching(why) as string });

describe('letting a person in', () => {
  it('admits a user who exists', () => {
    expect(() => {
      admit(certificate());
    }).not.toThrow();
  });
  it.each([
    ['user', 'joe'],
    ['role', 'admin'],
    ['serial', '9'],
  ])('refuses while the %s %s is locked, and reports by which lock', (kind, name) => {
    const data = { target: { kind, name }, message: 'away', expiresAt: now } as never;
    const locks = project(locksView, [['lock-a', { type: 'lock.created', data }]]);
    const before = { locks, requests: requestsView.initial, now: '2026-01-01T12:59:59.999Z' };
    expect(() => {
      admit(certificate({ serial: 9n }), before);
    }).toThrow(refused(/^lock targeting (User|Role|Serial):".*" is in force: away$/));
    expect(lockOnClient(certificate({ serial: 9n }), { users: usersAfter(), ...before })).toMatch(/away$/);
    expect(() => {
      admit(certificate({ serial: 9n }), { locks });
    }).not.toThrow();
  });
  it('lets those stay whose key was rotated since they came, and nobody in by it', () => {
    const step = { rotationId: 'r', at: now, by: 'a', left: [], announcement: { text: '', signatures: [] } };
    const key = {
      ...{ keyId: 'k2', tlsCertificatePem: '', activeFrom: now },
      sshPublicKey: toAuthorizedKeyLine(publicKeyOf(strange).blob),
    };
    const rotated = [
      { type: 'authority.rotation_started', data: { ...step, mode: 'manual', gracePeriodMs: 1, key } },
      { type: 'authority.rotation_finished', data: { ...step, keyId: 'k2' } },
    ] as const;
    const after = rotated.reduce(
      (state, fact, n) =>
        authoritiesView.apply(state, {
          ...{ id: String(n), stream: 'authority-user', revision: n, position: n + 2, fact },
          cause: { at: now, actor: 'admin', requestId: '' },
        }),
      authorities,
    );
    expect(() => {
      admit(certificate(), { authorities: after }, 'while_connected');
    }).not.toThrow();
    expect(() => {
      admit(certificate(), { authorities: after });
    }).toThrow(refused(/not trusted/));
  });
  it('admits with a certificate of the second in which the user was made', () => {
    expect(() => {
      admit(certificate({ from: bornAt }));
    }).not.toThrow();
  });
  it('admits the only user there ever was of that name, though a wrong clock dated its creation after its login', () => {
    expect(() => {
      admit(certificate({ from: '2026-01-01T07:00:00.000Z' }));
    }).not.toThrow();
  });
  it.each<[string, Certificate, Partial<Admission>, RegExp]>([
    ['an unknown user', certificate({ keyId: 'eve' }), {}, /eve does not exist/],
    ['a deleted user', certificate(), { users: usersAfter({ type: 'user.deleted', data: {} }) }, /not exist/],
    ['another authority', certificate({ ca: strange }), {}, /authority that is not trusted/],
    ['no authority yet', certificate(), { authorities: authoritiesView.initial }, /not trusted/],
    [
      'a certificate of an earlier user of that name',
      certificate({ from: '2026-01-01T11:59:59.000Z' }),
      { users: usersAfter({ type: 'user.deleted', data: {} }, created) },
      /earlier user joe/,
    ],
    ['folds that stand still', certificate(), { failure: new Error('cut') }, /stands still: cut/],
  ])('refuses %s', (_what, one, wish, why) => {
    expect(() => {
      admit(one, wish);
    }).toThrow(refused(why));
  });
  it('admits with a certificate from before failed logins locked the password', () => {
    const locked: UserFact = {
      type: 'user.locked',
      data: { until: '2999-01-01T00:00:00.000Z', reason: 'x' },
    };
    expect(() => {
      admit(certificate(), { users: usersAfter(locked) });
    }).not.toThrow();
  });
});
