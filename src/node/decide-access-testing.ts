import { type KeyObject, randomUUID } from 'node:crypto';
import type { ClusterKey, ClusterKeys } from '../domain/cluster-keys.ts';
import type { TrustedClusterSettings } from '../domain/trusted-cluster.ts';
import { type RoleSpec, roleSpec } from '../domain/role-spec.ts';
import {
  authorityStream,
  clusterStream,
  roleStream,
  trustedClusterStream,
  userStream,
} from '../domain/streams.ts';
import type { Fact, Recorded, StreamName } from '../log/event.ts';
import { generateEd25519 } from '../pki/key-pair.ts';
import { type Certificate, parseCertificate } from '../pki/ssh-certificate.ts';
import { fromAuthorizedKeyLine, publicKeyOf, toAuthorizedKeyLine } from '../pki/ssh-key.ts';
import { issueUserSshCertificate, type UserCertificateRequest } from '../pki/user-certificate.ts';
import { authoritiesView } from '../views/authorities.ts';
import { configurationView } from '../views/configuration.ts';
import { clusterView } from '../views/cluster.ts';
import { locksView } from '../views/locks.ts';
import { requestsView } from '../views/requests.ts';
import { rolesView } from '../views/roles.ts';
import { trustedClustersView } from '../views/trusted-clusters.ts';
import { usersView } from '../views/users.ts';
import type { Projection, View } from '../views/view.ts';
import type { AccessRequest, DecidingViews, Grant } from './access-request.ts';
import { decideAccess, lastWordsFor } from './decide-access.ts';

export const now = '2026-01-01T12:00:00.000Z';
const authority = generateEd25519();
const key = publicKeyOf(generateEd25519());

export const cluster: [StreamName, Fact][] = [
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
export const role = (spec: object): [StreamName, Fact] => {
  const parsed: RoleSpec = roleSpec.parse({ options: {}, allow: {}, deny: {}, ...spec });
  return [roleStream(parsed.name), { type: 'role.created', data: { role: parsed } }];
};
export const user = (username: string, roles: string[], traits = {}): [StreamName, Fact] => [
  userStream(username),
  { type: 'user.created', data: { username, roles, traits } },
];
export const admin = role({
  name: 'admin',
  allow: { logins: ['root', '{{internal.logins}}'], nodeLabels: { '*': ['*'] } },
});

/** The keys of another cluster, and the fact by which it is trusted here. */
export interface OtherCluster {
  readonly ca: KeyObject;
  readonly trusted: [StreamName, Fact];
}
/** @param more of the settings; other keys of its user authority. */
export function otherCluster(
  clusterName: string,
  more: Partial<TrustedClusterSettings> & { ca?: KeyObject } = {},
): OtherCluster {
  const { ca = generateEd25519(), ...changed } = more;
  const keysOf = (of: KeyObject): ClusterKeys => ({ keys: [keyOf(of, `${clusterName}-1`)], number: 1 });
  const settings = {
    enabled: true,
    roleMap: [{ remote: 'dev', local: ['guest'] }],
    ...{ webProxyAddress: 'root:3080', tunnelAddress: 'root:3024', caPins: [] },
    ...changed,
  };
  return {
    ca,
    trusted: [
      trustedClusterStream(clusterName),
      {
        type: 'trusted_cluster.created',
        data: { ...settings, host: keysOf(generateEd25519()), user: keysOf(ca) },
      },
    ],
  };
}
export const keyOf = (of: KeyObject, keyId: string): ClusterKey => ({
  ...{ keyId, tlsCertificatePem: '' },
  sshPublicKey: toAuthorizedKeyLine(publicKeyOf(of).blob),
});

/** Views that have folded these facts. */
function viewsOf(facts: readonly (readonly [StreamName, Fact])[], failure?: Error): DecidingViews {
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
    configuration: view(configurationView),
    roles: view(rolesView),
    users: view(usersView),
    locks: view(locksView),
    requests: view(requestsView),
    trustedClusters: view(trustedClustersView),
    failure: () => failure,
  };
}

interface Wish {
  readonly certificate?: Partial<UserCertificateRequest>;
  /** As no authority would have issued it. */
  readonly altered?: Partial<Certificate>;
  readonly login?: string;
  readonly failure?: Error;
  readonly now?: string;
  readonly asked?: 'while_connected';
}
export function decide(facts: readonly (readonly [StreamName, Fact])[], wish: Wish = {}): Grant {
  const { failure } = wish;
  const asked = wish.asked ?? 'at_login';
  return decideAccess(viewsOf(facts, failure), { ...asking(wish), labels: { env: 'test' }, asked });
}

/** What somebody of another cluster is told whose connection ends. */
export const lastWords = (
  facts: readonly (readonly [StreamName, Fact])[],
  wish: Wish,
  clusterName: string,
): string | undefined => lastWordsFor(viewsOf(facts), asking(wish), clusterName);

function asking(wish: Wish): Omit<AccessRequest, 'labels' | 'asked'> {
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
  const certificate = { ...parseCertificate(fromAuthorizedKeyLine(line)), ...wish.altered };
  return { certificate, login: wish.login ?? 'root', node: ['h1', 'Web-1'], now: wish.now ?? now };
}
