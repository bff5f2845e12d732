import { describe, expect, it } from 'vitest';
import type { AuthorityFact } from '../domain/authority.ts';
import type { UserFact } from '../domain/user-fact.ts';
import { generateEd25519 } from '../pki/key-pair.ts';
import { type Certificate, issueCertificate, parseCertificate } from '../pki/ssh-certificate.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../pki/ssh-key.ts';
import { authoritiesView } from '../views/authorities.ts';
import { project } from '../views/testing.ts';
import { usersView } from '../views/users.ts';
import { admitClient, type Admission } from './admit-client.ts';

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
const certificate = (wish: { keyId?: string; ca?: typeof trusted; from?: string } = {}): Certificate =>
  parseCertificate(
    issueCertificate({
      key: publicKeyOf(generateEd25519()),
      ca: wish.ca ?? trusted,
      kind: 'user',
      keyId: wish.keyId ?? 'joe',
      principals: ['root'],
      validAfter: seconds(wish.from ?? now) - 60n,
      validBefore: seconds(now) + 3600n,
    }),
  );
const admit = (one: Certificate, wish: Partial<Admission> = {}): void => {
  admitClient(one, { authorities, users: usersAfter(), failure: undefined, ...wish });
};
const refused = (why: RegExp): unknown =>
  expect.objectContaining({ code: 'access_denied', message: expect.stringMatching(why) as string });

describe('letting a person in', () => {
  it('admits a user who exists', () => {
    expect(() => {
      admit(certificate());
    }).not.toThrow();
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
