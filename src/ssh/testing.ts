import type { KeyObject } from 'node:crypto';
import { Duplex } from 'node:stream';
import { silentLog } from '../base/log-sink.ts';
import { generateEd25519 } from '../pki/key-pair.ts';
import { issueCertificate, type IssueOptions } from '../pki/ssh-certificate.ts';
import { publicKeyOf } from '../pki/ssh-key.ts';
import {
  connectSsh,
  type Identity,
  keyIdentity,
  type SshClient,
  type SshClientOptions,
} from './cert-client.ts';
import { createSshServer, type AuthFailure, type SshServer } from './cert-server.ts';
import type { AcceptOptions, SshServerOptions } from './server-options.ts';
import type { ConnectionHandlers, SshConnection } from './server-types.ts';
import { ConnectionLayer, noData, type ConnectionLayerOptions } from './connection-layer.ts';
import { fixedWindow } from './receive-window.ts';

export const WINDOW = 256 * 1024;

export interface Side {
  readonly layer: ConnectionLayer;
  /** Messages that it sent. */
  readonly sent: Buffer[];
  /** False holds its channel data back. */
  writable: boolean;
}

/**
 * Two layers that are each other's peer. A message from one reaches the other in a later turn, as over a
 * socket.
 */
export function pair(server: Partial<ConnectionLayerOptions> = {}): {
  client: Side;
  server: Side;
  cut: () => void;
} {
  let cut = false;
  const make = (role: Partial<ConnectionLayerOptions>, other: () => Side): Side => {
    const sent: Buffer[] = [];
    const side: Side = {
      sent,
      writable: true,
      layer: new ConnectionLayer({
        transport: {
          send: (header, body = noData) => {
            const message = Buffer.concat([header, body]);
            sent.push(message);
            queueMicrotask(() => {
              if (!cut) other().layer.receive(message);
            });
          },
          sendData: () => 0,
          writable: () => side.writable,
        },
        maxChannels: 10,
        openWindow: () => fixedWindow(WINDOW),
        readsStderr: true,
        onOpen: (open) => {
          open.reject('prohibited', 'not here');
        },
        onGlobalRequest: () => undefined,
        ...role,
      }),
    };
    return side;
  };
  const sides: { client: Side; server: Side } = {
    client: make({}, () => sides.server),
    server: make(server, () => sides.client),
  };
  return {
    ...sides,
    cut: () => {
      cut = true;
      sides.client.layer.lost();
    },
  };
}

export const text = async (stream: AsyncIterable<unknown>): Promise<string> => {
  let all = '';
  for await (const chunk of stream) all += String(chunk);
  return all;
};
/** Of channel data that it sent. */
export const dataBytes = (side: Side): number =>
  side.sent.filter((m) => m[0] === 94).reduce((sum, m) => sum + m.length - 9, 0);

/** Two ends of a connection in memory. */
export function memoryLine(): [Duplex, Duplex] {
  const ends: Duplex[] = [];
  for (const other of [1, 0])
    ends.push(
      new Duplex({
        read: () => undefined,
        write: (chunk: Buffer, _encoding, done) => {
          // Not in the same turn: no socket does that.
          setImmediate(() => {
            ends[other]?.push(Buffer.from(chunk));
            done();
          });
        },
        final: (done) => {
          ends[other]?.push(null);
          done();
        },
      }),
    );
  return ends as [Duplex, Duplex];
}

/** The time in these tests, in seconds since 1970. */
export const testNow = 1_700_000_000n;
export const userAuthority = generateEd25519();
export const hostAuthority = generateEd25519();
const [userKey, hostKey] = [generateEd25519(), generateEd25519()];

export const testCertificate = (wish: Partial<IssueOptions> & { kind: 'user' | 'host' }): Buffer =>
  issueCertificate({
    key: publicKeyOf(wish.kind === 'user' ? userKey : hostKey),
    ca: wish.kind === 'user' ? userAuthority : hostAuthority,
    keyId: 'alice',
    principals: wish.kind === 'user' ? ['root'] : ['node1'],
    ...{ serial: 1n, validAfter: testNow - 60n, validBefore: testNow + 3600n, extensions: {} },
    ...wish,
  });

/** Shows a certificate of `alice` for the login root. */
export const testIdentity = (wish: Partial<IssueOptions> = {}): Identity =>
  keyIdentity(userKey, testCertificate({ kind: 'user', ...wish }));
export const testHostKey = (
  wish: Partial<IssueOptions> = {},
): { privateKey: KeyObject; certificate: Buffer } => ({
  privateKey: hostKey,
  certificate: testCertificate({ kind: 'host', ...wish }),
});

/** What a server was asked to record, and what it logged. */
export interface Seen {
  readonly failures: AuthFailure[];
  readonly lines: string[];
  readonly connections: SshConnection[];
}

/** A server that admits certificates of `userAuthority`. */
export function testServer(
  options: Partial<SshServerOptions> = {},
  handlers: (connection: SshConnection) => ConnectionHandlers = () => ({}),
): { server: SshServer; seen: Seen } {
  const seen: Seen = { failures: [], lines: [], connections: [] };
  const at =
    (level: string) =>
    (message: string, fields: { reason?: string } = {}): void => {
      seen.lines.push(`${level} ${message}: ${fields.reason ?? ''}`);
    };
  const server = createSshServer(
    {
      hostKeys: [testHostKey()],
      userAuthorities: () => [publicKeyOf(userAuthority).blob],
      ...{ now: () => testNow, version: '4.4', authorize: () => undefined },
      onAuthFailure: (failure) => {
        seen.failures.push(failure);
      },
      sink: { ...silentLog, debug: at('debug'), warn: at('warn'), error: at('error') },
      ...options,
    },
    (connection) => {
      seen.connections.push(connection);
      return handlers(connection);
    },
  );
  return { server, seen };
}

/** A client that trusts `hostAuthority`, connected to `server` in memory. */
export function testConnect(
  server: Pick<SshServer, 'accept'>,
  options: Partial<SshClientOptions> = {},
  accept: AcceptOptions = {},
): { here: Duplex; there: Duplex; client: Promise<SshClient> } {
  const [here, there] = memoryLine();
  server.accept(there, accept);
  const client = connectSsh({
    ...{ target: { stream: here }, username: 'root', identities: [testIdentity()], now: () => testNow },
    hostAuthorities: () => [publicKeyOf(hostAuthority).blob],
    hostPrincipals: ['node1'],
    ...options,
  });
  return { here, there, client };
}
