import type { Certificate } from '../pki/ssh-certificate.ts';
import { defaultAlgorithms } from '../ssh/algorithms.ts';
import { createSshServer, type SshServer } from '../ssh/cert-server.ts';
import { hostKeysOf } from '../ssh/host-keys.ts';
import { keepAliveIn } from '../views/configuration.ts';
import { version } from '../base/version.ts';
import type { AccessRequest } from './access-request.ts';
import { decideAccess, lastWordsFor, lockForSession, userAuthoritiesOf } from './decide-access.ts';
import { signingCluster } from './decide-foreign-access.ts';
import { joinLogin } from '../domain/join-session.ts';
import { foreignUsername } from '../domain/foreign-username.ts';
import type { NodeViews } from './node-views.ts';
import type { RefusedLogins } from './refused-logins.ts';
import { ServedConnection } from './served-connection.ts';
import type { NodeDeps } from './node-deps.ts';
import type { NodeContext } from './session-context.ts';

export interface NodeServerParts {
  readonly context: NodeContext;
  readonly views: NodeViews;
  readonly refused: Pick<RefusedLogins, 'record'>;
  /** Contains every connection of a logged-in person, until it has ended. */
  readonly served: Set<ServedConnection>;
}

/** The SSH protocol of a node: the views decide who is let in, and again while they are connected. */
export function nodeServer(
  { identity, world, sink, metrics, config }: NodeDeps,
  { context, views, refused, served }: NodeServerParts,
): SshServer {
  const requestOf = (certificate: Certificate, login: string) => ({
    ...{ certificate, login, labels: context.labels() },
    ...{ node: [config.hostId, config.nodename], now: world.now() },
  });
  const decide = (asked: AccessRequest['asked'], certificate: Certificate, login: string) =>
    decideAccess(views, { asked, ...requestOf(certificate, login) });
  return createSshServer(
    {
      hostKeys: hostKeysOf(identity.server()),
      userAuthorities: () => userAuthoritiesOf(views),
      openLogin: joinLogin,
      now: () => BigInt(Math.floor(Date.parse(world.now()) / 1000)),
      authorize: (certificate, login) => {
        decide('at_login', certificate, login);
      },
      nameOf: (certificate) => {
        const cluster = signingCluster(views, { certificate, asked: 'at_login' })?.clusterName;
        return cluster === undefined ? certificate.keyId : foreignUsername(cluster, certificate.keyId);
      },
      onAuthFailure: (failure) => {
        metrics.add('node_ssh_logins_refused_total', 1);
        refused.record(failure);
      },
      keepAlive: () => keepAliveIn(views.configuration.state()),
      version,
      sink,
      algorithms: config.sshAlgorithms ?? defaultAlgorithms,
    },
    (connection) => {
      const { certificate, username } = connection;
      const again = () => decide('while_connected', certificate, username);
      const grant = again();
      const lastWords = {
        onConnection: () => lastWordsFor(views, requestOf(certificate, username), grant.cluster),
        onSession: (sessionId: string) => lockForSession(views, sessionId, world.now()),
      };
      const one = new ServedConnection({ context, connection, decide: again, lastWords, grant });
      served.add(one);
      metrics.add('node_ssh_connections_total', 1);
      metrics.set('node_ssh_connections', served.size);
      void one.ended.then(() => {
        served.delete(one);
        metrics.set('node_ssh_connections', served.size);
      });
      return one.handlers;
    },
  );
}
