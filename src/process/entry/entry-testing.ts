import { createServer as createHttp, type Server as HttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTls, type Server as TlsServer } from 'node:tls';
import { realWorld } from '../../base/world.ts';
import { formatHostPort, type HostPort } from '../../base/service.ts';
import { privateKeyPem } from '../../pki/key-pair.ts';
import { publicKeyOf } from '../../pki/ssh-key.ts';
import { keyOf } from '../../pki/testing.ts';
import { issueHostTlsCertificate } from '../../pki/tls-identity.ts';
import { createCaCertificate } from '../../pki/x509.ts';

const now = realWorld.now();
const caKey = keyOf('p256', 'authority');
const caPem = createCaCertificate({ clusterName: 'example', privateKey: caKey, now });

/** TLS that greets as an auth server does, and says nothing. */
function greeter(): TlsServer {
  const key = keyOf('ed25519', 'host');
  const cert = issueHostTlsCertificate({
    ...{ publicKey: publicKeyOf(key).key, caKey, caPem, clusterName: 'example', role: 'Auth' },
    ...{ hostId: '0b0b9b3e-5c8a-4b7e-9a3e-2f1d8f1f0a01', additionalPrincipals: [], now, ttlSeconds: 3600 },
  });
  const server = createTls({ key: privateKeyPem(key), cert }, (socket) => {
    socket.on('error', () => undefined); // whoever looked has left
  });
  server.on('tlsClientError', () => undefined);
  return server;
}

export interface FrontOptions {
  /** What `/v1/webapi/find` answers about SSH; undefined: it is no proxy. */
  readonly says?: Record<string, string> | undefined;
  /** Whether connections that are upgraded lead to an auth server, or to SSH. */
  readonly upgrades?: 'auth' | 'ssh' | undefined;
}

/** Small servers of a test, closed together. */
export interface Fronts {
  /** A web port in plain HTTP. */
  web(options: FrontOptions): Promise<HostPort>;
  /** A port where an auth server greets. */
  auth(): Promise<HostPort>;
  /** A port where an SSH server of ours greets whoever greets. */
  ssh(): Promise<HostPort>;
  /** A port that takes connections and closes them. */
  closing(): Promise<HostPort>;
  close(): void;
}

export function fronts(): Fronts {
  const tls = greeter();
  const servers: Server[] = [];
  const open = new Set<Duplex>();
  const listening = async (server: Server | HttpServer): Promise<HostPort> => {
    servers.push(server);
    server.on('connection', (socket: Duplex) => {
      open.add(socket);
      socket.on('error', () => undefined); // whoever looked has left
      socket.once('close', () => open.delete(socket));
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
  };
  const toAuth = (socket: Duplex): void => void tls.emit('connection', socket);
  const toSsh = (socket: Duplex): void =>
    void socket.once('data', () => socket.write('SSH-2.0-OpenSSH_Teleport\r\n'));
  return {
    web: ({ says, upgrades }) => {
      const server = createHttp((request, response) => {
        const isPing = request.url?.endsWith('/ping') === true;
        if (says === undefined) response.writeHead(404).end();
        else response.end(JSON.stringify(isPing ? { server_version: '4.5.0' } : { proxy: { ssh: says } }));
      });
      if (upgrades !== undefined)
        server.on('upgrade', (_request, socket: Duplex) => {
          socket.write(
            'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: teleport\r\n\r\n',
          );
          (upgrades === 'auth' ? toAuth : toSsh)(socket);
        });
      return listening(server);
    },
    auth: () => listening(createServer(toAuth)),
    ssh: () => listening(createServer(toSsh)),
    closing: () => listening(createServer((socket) => socket.destroy())),
    close: () => {
      for (const socket of open) socket.destroy();
      for (const server of servers) server.close();
    },
  };
}

export const text = formatHostPort;
