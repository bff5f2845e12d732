import { randomUUID } from 'node:crypto';
import net, { type AddressInfo } from 'node:net';
import { listAuthorities } from '../../src/api/operations/authority.ts';
import { heartbeat } from '../../src/api/operations/host.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { formatHostPort, type HostPort } from '../../src/base/service.ts';
import { host } from '../../src/domain/host.ts';
import { type HostInfo, hostRecordOf } from '../../src/domain/host-info.ts';
import { hostStream } from '../../src/domain/streams.ts';
import { execute } from '../../src/log/execute.ts';
import { privateKeyFromPem } from '../../src/pki/key-pair.ts';
import { fromAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { createSshServer, type Peer } from '../../src/ssh/cert-server.ts';
import { doubtAbout } from '../../src/ssh/signed-client.ts';
import { type AuthBench, clientOf } from './auth-bench.ts';

const local = '127.0.0.1';
export const now = (): bigint => BigInt(Math.floor(Date.now() / 1000));

/** A stand-in for a node: runs no program, but echoes, and knows who it was told that the client is. */
export interface EchoNode {
  readonly hostId: string;
  readonly address: HostPort;
  readonly peers: readonly Peer[];
  stop(): Promise<void>;
}

/**
 * A stand-in for a plain OpenSSH server: says its banner, and at the end of what it hears that it heard all.
 */
export interface PlainServer {
  readonly address: HostPort;
  readonly heard: () => string;
  /** Connections open now. */
  readonly open: () => Promise<number>;
  close(): Promise<void>;
}

/** `endsFirst`: it says no more than its banner, and ends, but goes on to hear. */
export async function startPlainServer({ endsFirst = false } = {}): Promise<PlainServer> {
  const heard: string[] = [];
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    if (endsFirst) socket.end('SSH-2.0-OpenSSH_9.2\r\n');
    else socket.write('SSH-2.0-OpenSSH_9.2\r\n');
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => heard.push(chunk.toString()));
    socket.on('end', () => {
      if (!endsFirst) socket.end('heard all\n');
    });
  });
  return {
    address: { host: local, port: await listenOn(server, 0) },
    heard: () => heard.join(''),
    open: () =>
      new Promise((told, failed) => {
        server.getConnections((e, count) => {
          if (e === null) told(count);
          else failed(e);
        });
      }),
    close: () =>
      new Promise((closed) =>
        server.close(() => {
          closed();
        }),
      ),
  };
}

export const listenOn = (server: net.Server, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, local, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });

/**
 * `asBefore`: the cluster knows it by its name already, as one that a release before took, whoever else is
 * called so.
 */
export async function startEchoNode(
  auth: AuthBench,
  nodename: string,
  { asBefore = false } = {},
): Promise<EchoNode> {
  const hostId = randomUUID();
  const identity = await auth.service.issueHostIdentity({
    hostId,
    nodename,
    role: 'Node',
    additionalPrincipals: [local],
  });
  const peers: Peer[] = [];
  const userAuthorities = await authorityBlobs(auth);
  const server = createSshServer(
    {
      hostKeys: [
        {
          privateKey: privateKeyFromPem(identity.privateKeyPem),
          certificate: fromAuthorizedKeyLine(identity.sshCertificate),
        },
      ],
      userAuthorities: () => userAuthorities,
      now,
      authorize: () => undefined,
      onAuthFailure: () => undefined,
      version: '4.5.0',
      sink: silentLog,
    },
    (connection) => {
      peers.push(connection.peer);
      return {
        session: (open) => {
          const channel = open.accept((request) => {
            request.accept();
            if (request.type !== 'exec') return;
            channel.write(`${nodename}: ${request.command}\n`);
            channel.once('end', () => void channel.finish({ status: 'exited', code: 3 }));
            channel.pipe(channel, { end: false });
          });
        },
      };
    },
  );
  const listener = net.createServer((socket) => {
    server.accept(socket, {
      doubtAboutClient: (preamble, challenge) =>
        doubtAbout(
          preamble,
          { challenge, hostId },
          {
            hostAuthorities: identity.sshHostCas.map(fromAuthorizedKeyLine),
            clusterName: identity.clusterName,
            now: now(),
            isProxy: () => true,
          },
        ),
    });
  });
  const address = { host: local, port: await listenOn(listener, 0) };
  const client = clientOf([auth.address()], identity);
  const said: HostInfo = {
    hostId,
    role: 'Node',
    nodename,
    reachability: { status: 'direct', address: formatHostPort(address) },
    publicAddress: '',
    sshPublicAddress: '',
    labels: {},
    version: '4.5.0',
  };
  if (asBefore) {
    const cause = { at: new Date().toISOString(), actor: 'auth', requestId: randomUUID() };
    await execute(auth.log.state, host, hostStream(hostId), { type: 'record-host', host: said }, cause);
  }
  await client.call(heartbeat, { host: hostRecordOf(said), ttlSeconds: 600 });
  client.close();
  return {
    hostId,
    address,
    peers,
    stop: async () => {
      const closed = new Promise((resolve) => listener.close(resolve));
      await server.closeConnections('the test is over');
      await closed;
    },
  };
}

async function authorityBlobs(auth: AuthBench): Promise<Buffer[]> {
  const admin = clientOf(
    [auth.address()],
    await auth.service.issueHostIdentity({
      hostId: randomUUID(),
      nodename: 'admin',
      role: 'Admin',
      additionalPrincipals: [],
    }),
  );
  const { authorities } = await admin.call(listAuthorities, { type: 'user' });
  admin.close();
  return authorities.flatMap(({ checkingKeys }) => checkingKeys.map(fromAuthorizedKeyLine));
}
