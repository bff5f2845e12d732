import { describe, expect, it } from 'vitest';
import { settingsOfLimits, usualSessionLimits } from '../domain/session-limits.ts';
import { authorityStream, configurationStream, userStream } from '../domain/streams.ts';
import type { Fact, StreamName } from '../log/event.ts';
import { generateEd25519 } from '../pki/key-pair.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../pki/ssh-key.ts';
import { admin, cluster, decide, now, role, user } from './decide-access-testing.ts';

/** The user authority gets another key, and withdraws the one that it had. */
const step = { rotationId: 'r', at: now, by: 'admin', left: [], announcement: { text: '', signatures: [] } };
const other = {
  ...{ keyId: 'k2', tlsCertificatePem: '', activeFrom: now },
  sshPublicKey: toAuthorizedKeyLine(publicKeyOf(generateEd25519()).blob),
};
const started: [StreamName, Fact] = [
  authorityStream('user'),
  { type: 'authority.rotation_started', data: { ...step, mode: 'manual', gracePeriodMs: 1, key: other } },
];
const finished = (more: { keyId?: string; endSessions?: boolean } = {}): [StreamName, Fact] => [
  authorityStream('user'),
  { type: 'authority.rotation_finished', data: { ...step, keyId: 'k2', ...more } },
];
const replaced: [StreamName, Fact] = [
  authorityStream('user'),
  { type: 'authority.replaced', data: { ...step, key: { ...other, keyId: 'k3' } } },
];

describe('somebody who is connected', () => {
  const known = [...cluster, admin, user('alice', ['admin'])];
  const stays = (...rotation: [StreamName, Fact][]): readonly string[] =>
    (['at_login', 'while_connected'] as const).filter((asked) => {
      try {
        decide([...known, ...rotation], asked === 'at_login' ? {} : { asked });
        return true;
      } catch {
        return false;
      }
    });
  it.each([
    ['stays, as whoever logs in, while both keys are trusted', [started], ['at_login', 'while_connected']],
    ['stays when the key was rotated, and nobody logs in by it', [started, finished()], ['while_connected']],
    ['leaves where the rotation was to end sessions', [started, finished({ endSessions: true })], []],
    ['leaves when the key was replaced at once', [replaced], []],
    ['leaves when a later key was replaced at once', [started, finished(), replaced], []],
  ] as const)('%s', (_what, rotation, expected) => {
    expect(stays(...rotation)).toEqual(expected);
  });
  it('leaves under a key that never was one of this cluster', () => {
    const strange = { certificate: { ca: generateEd25519() }, asked: 'while_connected' } as const;
    expect(() => decide([...known, started, finished()], strange)).toThrow(
      /an authority that is not trusted/,
    );
  });
});

describe('deciding who may come in', () => {
  const known = [...cluster, admin, user('alice', ['admin'])];

  it('grants by the roles and traits of the certificate', () => {
    expect(decide(known)).toMatchObject({ username: 'alice', login: 'root' });
    expect(decide(known, { login: 'deploy' }).options.portForwarding).toBe(true);
  });
  it('grants no more than the cluster allows all sessions', () => {
    const settings = settingsOfLimits({
      ...usualSessionLimits,
      ...{ clientIdleTimeoutSeconds: 60, disconnectExpiredCert: true },
    });
    const limits: [StreamName, Fact] = [
      configurationStream,
      { type: 'configuration.adopted', data: { settings } },
    ];
    expect(decide(known).options).toMatchObject({
      clientIdleTimeoutSeconds: 0,
      disconnectExpiredCert: false,
    });
    expect(decide([...known, limits]).options).toMatchObject({
      ...{ clientIdleTimeoutSeconds: 60, disconnectExpiredCert: true },
    });
  });
  it('grants by the other roles of the cluster while one that the person has not cannot be read', () => {
    const odd: Fact = { type: 'role.updated', data: { role: { name: 'other', deny: 'all' } } };
    expect(decide([...known, ['role-other', odd]])).toMatchObject({ login: 'root' });
  });
  it.each([
    ['user', 'alice'],
    ['role', 'admin'],
    ['login', 'root'],
    ['node', 'h1'],
    ['node', 'web-1'],
    ['serial', '77'],
  ])('refuses while the %s %s is locked, by the clock of this node', (kind, name) => {
    const data = { target: { kind, name }, message: 'away', expiresAt: '2026-01-01T12:00:01.000Z' };
    const locked = [...known, ['lock-a', { type: 'lock.created', data }] as [StreamName, Fact]];
    const certificate = { serial: 77n };
    expect(() => decide(locked, { certificate })).toThrow(
      /^user alice@example is not authorized to login as root@example: lock targeting .* is in force: away$/,
    );
    const later = { certificate, now: '2026-01-01T12:00:01.000Z' };
    expect(decide(locked, later)).toMatchObject({ login: 'root' });
    const ended: [StreamName, Fact] = ['lock-a', { type: 'lock.ended', data: { reason: 'unlocked' } }];
    expect(decide([...locked, ended], { certificate })).toMatchObject({ login: 'root' });
  });
  it('refuses by a lock of a role that the user has by now, though its certificate has another', () => {
    const later = user('alice', ['admin', 'ops']);
    const data = { target: { kind: 'role', name: 'ops' }, message: '' };
    const facts = [
      ...cluster,
      admin,
      later,
      ['lock-a', { type: 'lock.created', data }] as [StreamName, Fact],
    ];
    expect(() => decide(facts)).toThrow(/lock targeting Role:"ops" is in force$/);
  });
  describe('by an approved access request', () => {
    const asking = role({
      name: 'admin',
      allow: { logins: ['root'], nodeLabels: { env: ['other'] } },
      request: { allow: { roles: ['ops'] } },
    });
    const ops = role({ name: 'ops', allow: { logins: ['root'], nodeLabels: { '*': ['*'] } } });
    const expiresAt = '2026-01-01T13:00:00.000Z';
    // The id of the event that makes the user.
    const approval = { state: 'approved', user: 'alice', lifeId: '4', roles: ['ops'], expiresAt };
    const resolved: [StreamName, Fact] = [
      'request-r1',
      { type: 'request.resolved', data: { ...approval, reason: '', delegator: '', annotations: {} } },
    ];
    const facts = [...cluster, asking, ops, user('alice', ['admin']), resolved];
    const named = { lifeId: '4', accessRequests: { ids: ['r1'], roles: ['ops'] } };

    it('grants while it counts, to the end of the certificate', () => {
      expect(decide(facts, { certificate: named }).options.disconnectExpiredCert).toBe(true);
      expect(() => decide(facts, { certificate: { lifeId: '4' } })).toThrow(/no role allows/);
      expect(() => decide(facts.slice(0, -1), { certificate: named })).toThrow(/no role allows/);
      const ended: [StreamName, Fact] = [
        'request-r1',
        { type: 'request.ended', data: { reason: 'removed' } },
      ];
      expect(() => decide([...facts, ended], { certificate: named })).toThrow(/no role allows/);
      const late = { certificate: named, now: expiresAt };
      expect(() => decide(facts, late)).toThrow(/no role allows/);
      expect(decide(facts, { ...late, asked: 'while_connected' }).login).toBe('root');
    });
    it('takes nothing from what the user has without it, and ends nothing of that', () => {
      const own = role({ name: 'admin', allow: { logins: ['root'], nodeLabels: { '*': ['*'] } } });
      const gone = [...cluster, own, ops, user('alice', ['admin'])];
      expect(decide(gone, { certificate: named }).options.disconnectExpiredCert).toBe(false);
    });
    it('is refused by a lock of its role, and by a role of it that denies', () => {
      const data = { target: { kind: 'role', name: 'ops' }, message: '' };
      expect(() =>
        decide([...facts, ['lock-a', { type: 'lock.created', data }]], { certificate: named }),
      ).toThrow(/lock targeting Role:"ops"/);
      const denying = role({
        ...{ name: 'ops', allow: { logins: ['root'], nodeLabels: { '*': ['*'] } } },
        deny: { logins: ['root'] },
      });
      expect(() => decide([...facts, denying], { certificate: named })).toThrow(/denies the login/);
    });
  });
  it('takes those of the user for a certificate that carries none', () => {
    const facts = [...cluster, admin, user('alice', ['admin'], { logins: ['other'] })];
    expect(decide(facts, { certificate: { format: 'oldssh' }, login: 'other' }).login).toBe('other');
    expect(() => decide(facts, { certificate: { format: 'oldssh' }, login: 'deploy' })).toThrow(
      /no role allows/,
    );
  });
  it.each([
    ['a login no role gives', known, { login: 'postgres' }, /as postgres@example: no role allows/],
    ['a user that does not exist', [...cluster, admin], {}, /user alice@example .* does not exist/],
    [
      'a user of whom a newer release wrote what must be known',
      [...known, ['user-alice', { type: 'user.suspended', data: { critical: ['suspension'] } }]],
      {},
      /this release cannot read the user/,
    ],
    [
      'one of whose roles a newer release gave a condition more',
      [
        ...known,
        [
          'role-other',
          {
            type: 'role.created',
            data: { role: { name: 'other', options: {}, allow: {}, deny: { applications: ['*'] } } },
          },
        ],
      ],
      { certificate: { roles: ['admin', 'other'] } },
      /this release cannot read the role other/,
    ],
    [
      'a deleted user',
      [...known, [userStream('alice'), { type: 'user.deleted', data: {} }] as [StreamName, Fact]],
      {},
      /does not exist/,
    ],
    [
      'a certificate of an earlier user of that name',
      known,
      { certificate: { lifeId: 'of another event' } },
      /of an earlier user of that name, who was deleted/,
    ],
    [
      'an unknown role beside a good one',
      known,
      { certificate: { roles: ['admin', 'gone'] } },
      /no role gone/,
    ],
    [
      'a certificate that is not of a user',
      known,
      { altered: { kind: 'host' } },
      /^the certificate of alice: not the certificate of a user$/,
    ],
    ['no role at all', [...cluster, user('alice', [])], { certificate: { roles: [] } }, /has no role/],
    ['another authority', known, { certificate: { ca: generateEd25519() } }, /not trusted/],
    ['a cluster that is not known yet', [], {}, /auth has not answered/],
    ['views that stand still', known, { failure: new Error('damaged') }, /stands still: damaged/],
    [
      'a role that denies these labels',
      [...known, role({ name: 'no', deny: { nodeLabels: { env: ['t*'] } } })],
      { certificate: { roles: ['admin', 'no'] } },
      /role "no" denies/,
    ],
  ] as const)('refuses %s', (_what, facts, wish, why) => {
    expect(() => decide(facts, wish)).toThrow(why);
    expect(() => decide(facts, wish)).toThrow(expect.objectContaining({ code: 'access_denied' }) as Error);
  });
  it('lets in with a certificate from before failed logins locked the password', () => {
    const over: [StreamName, Fact] = [
      userStream('alice'),
      { type: 'user.locked', data: { until: '2999-01-01T00:00:00.000Z', reason: 'x' } },
    ];
    expect(decide([...known, over]).username).toBe('alice');
  });
});
