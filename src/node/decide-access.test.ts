import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type RoleSpec, roleSpec } from '../domain/role-spec.ts';
import { authorityStream, clusterStream, roleStream, userStream } from '../domain/streams.ts';
import type { Fact, Recorded, StreamName } from '../log/event.ts';
import { generateEd25519 } from '../pki/key-pair.ts';
import { parseCertificate } from '../pki/ssh-certificate.ts';
import { fromAuthorizedKeyLine, publicKeyOf, toAuthorizedKeyLine } from '../pki/ssh-key.ts';
import { issueUserSshCertificate, type UserCertificateRequest } from '../pki/user-certificate.ts';
import { authoritiesView } from '../views/authorities.ts';
import { clusterView } from '../views/cluster.ts';
import { hostsView } from '../views/hosts.ts';
import { rolesView } from '../views/roles.ts';
import { usersView } from '../views/users.ts';
import type { Projection, View } from '../views/view.ts';
import { decideAccess, type Grant } from './decide-access.ts';
import type { NodeViews } from './node-views.ts';

const now = '2026-01-01T12:00:00.000Z';
const authority = generateEd25519();
const key = publicKeyOf(generateEd25519());

const cluster: [StreamName, Fact][] = [
  [
    clusterStream,
    {
      type: 'cluster.created',
      data: { clusterName: 'example', clusterId: randomUUID(), secondFactor: 'otp' },
    },
  ],
  [
    authorityStream('user'),
    {
      type: 'authority.created',
      data: {
        type: 'user',
        clusterName: 'example',
        keys: [
          {
            keyId: 'k',
            sshPublicKey: toAuthorizedKeyLine(publicKeyOf(authority).blob),
            tlsCertificatePem: '',
            activeFrom: now,
          },
        ],
      },
    },
  ],
];
const role = (spec: object): [StreamName, Fact] => {
  const parsed: RoleSpec = roleSpec.parse({ options: {}, allow: {}, deny: {}, ...spec });
  return [roleStream(parsed.name), { type: 'role.created', data: { role: parsed } }];
};
const user = (username: string, roles: string[], traits = {}): [StreamName, Fact] => [
  userStream(username),
  { type: 'user.created', data: { username, roles, traits } },
];
const admin = role({
  name: 'admin',
  allow: { logins: ['root', '{{internal.logins}}'], nodeLabels: { '*': ['*'] } },
});

/** Views that have folded these facts. */
function viewsOf(facts: readonly (readonly [StreamName, Fact])[], failure?: Error): NodeViews {
  const events = facts.map(([stream, fact], i): Recorded => ({
    id: String(i),
    stream,
    revision: 1,
    position: i + 1,
    cause: { at: now, actor: 'admin', requestId: '' },
    fact,
  }));
  const view = <S>(projection: Projection<S>): View<S> =>
    ({
      state: () => events.reduce((state, event) => projection.apply(state, event), projection.initial),
    }) as View<S>;
  return {
    authorities: view(authoritiesView),
    cluster: view(clusterView),
    roles: view(rolesView),
    users: view(usersView),
    hosts: view(hostsView),
    failure: () => failure,
    close: () => undefined,
  };
}

interface Wish {
  readonly certificate?: Partial<UserCertificateRequest>;
  readonly login?: string;
  readonly failure?: Error;
}
function decide(facts: readonly (readonly [StreamName, Fact])[], wish: Wish = {}): Grant {
  const line = issueUserSshCertificate({
    publicKey: key,
    ca: authority,
    username: 'alice',
    principals: ['root'],
    roles: ['admin'],
    traits: { logins: ['deploy'] },
    now,
    ttlSeconds: 3600,
    format: 'standard',
    permit: { pty: true, portForwarding: true, agentForwarding: true },
    routeToCluster: '',
    ...wish.certificate,
  });
  const certificate = parseCertificate(fromAuthorizedKeyLine(line));
  const { login = 'root', failure } = wish;
  return decideAccess(viewsOf(facts, failure), { certificate, login, labels: { env: 'test' } });
}

describe('deciding who may come in', () => {
  const known = [...cluster, admin, user('alice', ['admin'])];

  it('grants by the roles and traits of the certificate', () => {
    expect(decide(known)).toMatchObject({ username: 'alice', login: 'root' });
    expect(decide(known, { login: 'deploy' }).options.portForwarding).toBe(true);
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
