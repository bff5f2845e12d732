import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { recordingMetrics, recordingSink } from '../api/testing.ts';
import { clientOf } from '../base/client-of.ts';
import { noStrangers } from '../base/service.ts';
import { realWorld } from '../base/world.ts';
import { privateKeyPem } from '../pki/key-pair.ts';
import { relayStatement } from '../pki/relay-statement.ts';
import { publicKeyOf } from '../pki/ssh-key.ts';
import { keyOf } from '../pki/testing.ts';
import { issueHostTlsCertificate } from '../pki/tls-identity.ts';
import { createCaCertificate } from '../pki/x509.ts';
import { takeRelayed } from './relayed-clients.ts';

const caKey = keyOf('p256', 'authority');
const now = realWorld.now();
const caPem = createCaCertificate({ clusterName: 'example', privateKey: caKey, now });
const key = keyOf('ed25519', 'host');
const proofOf = (role: string) => ({
  privateKeyPem: privateKeyPem(key),
  tlsCertificatePem: issueHostTlsCertificate({
    ...{ publicKey: publicKeyOf(key).key, caKey, caPem, clusterName: 'example', role },
    ...{ hostId: '0b0b9b3e-5c8a-4b7e-9a3e-2f1d8f1f0a01', additionalPrincipals: [], now, ttlSeconds: 3600 },
  }),
});
const client = { host: '203.0.113.9', port: 4711 };

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** What the server sees of a connection that sends this; undefined: it was closed before. */
async function seen(...pieces: Buffer[]) {
  const metrics = recordingMetrics();
  const moved: string[] = [];
  const { promise, resolve } = Promise.withResolvers<
    { from: string | undefined; bytes: string } | undefined
  >();
  const server = createServer((socket: Socket) => {
    closers.push(() => socket.destroy());
    socket.once('data', (bytes: Buffer) => {
      resolve({ from: clientOf(socket).address?.host, bytes: bytes.toString('latin1') });
    });
  });
  takeRelayed(server, {
    policy: () => ({ clusterName: 'example', authorities: [caPem], now: realWorld.now() }),
    strangers: { ...noStrangers, comesFrom: (_socket, address) => moved.push(address) },
    ...{ sink: recordingSink(), metrics, monotonic: () => 0 },
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('error', () => undefined); // it was refused
  socket.once('close', () => {
    resolve(undefined);
  });
  closers.push(() => {
    socket.destroy();
    server.close();
  });
  for (const piece of pieces) await new Promise((sent) => socket.write(piece, sent));
  return { came: await promise, refused: metrics.counters.get('auth_relayed_refused_total'), moved };
}

const tls = Buffer.from([0x16, 3, 1]);

describe('a connection to an auth server', () => {
  it('is from where a proxy says that it is, in whatever pieces that comes', async () => {
    const statement = relayStatement({ client, at: realWorld.now() }, proofOf('Proxy'));
    const whole = Buffer.concat([statement, tls]);
    for (const pieces of [[whole], [statement.subarray(0, 5), statement.subarray(5), tls]])
      expect(await seen(...pieces)).toMatchObject({
        came: { from: client.host, bytes: '\x16\x03\x01' },
        moved: [client.host],
      });
  });

  it('is from its other end where nobody says anything', async () => {
    expect(await seen(tls)).toMatchObject({ came: { from: '127.0.0.1', bytes: '\x16\x03\x01' }, moved: [] });
  });

  it('is closed when somebody else says something, and counted', async () => {
    const statement = relayStatement({ client, at: realWorld.now() }, proofOf('Node'));
    for (const first of [Buffer.concat([statement, tls]), Buffer.from('Teleport-Relay{}\0')])
      expect(await seen(first)).toMatchObject({ came: undefined, refused: 1, moved: [] });
  });

  it('is closed when the server ends and nothing has come yet', async () => {
    const server = createServer();
    const cutWaiting = takeRelayed(server, {
      policy: () => ({ clusterName: 'example', authorities: [], now: realWorld.now() }),
      ...{ strangers: noStrangers, sink: recordingSink(), metrics: recordingMetrics(), monotonic: () => 0 },
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.on('error', () => undefined); // it may be reset
    await new Promise((done) => socket.once('connect', done));
    const closed = new Promise((gone) => socket.once('close', gone));
    const accepted = (): Promise<number> =>
      new Promise((count) => {
        server.getConnections((_e, n) => {
          count(n);
        });
      });
    while ((await accepted()) === 0) await turn();
    cutWaiting();
    await closed;
    server.close();
  });
});
