import type { Duplex } from 'node:stream';
import { expect, it } from 'vitest';
import { silentLog } from '../base/log-sink.ts';
import { generateEd25519 } from '../pki/key-pair.ts';
import { issueCertificate } from '../pki/ssh-certificate.ts';
import { publicKeyOf, signSsh, splitSignature } from '../pki/ssh-key.ts';
import { defaultAlgorithms, forSsh2 } from './algorithms.ts';
import { connectSsh, keyIdentity } from './cert-client.ts';
import { createSshServer } from './cert-server.ts';
import { ssh2 } from './ssh2-library.ts';
import { disguisedKey, onEachKeyExchange, parseDonor, protoOf, sendPayload } from './ssh2-internals.ts';
import { memoryLine } from './testing.ts';

/**
 * A server that uses its keys at once, and then says `messages`, without waiting for the client's NEWKEYS.
 */
function hastyServer(socket: Duplex, messages: readonly Buffer[]): void {
  const host = generateEd25519();
  const publicBlob = publicKeyOf(host).blob;
  const key = disguisedKey(parseDonor(publicBlob), {
    type: 'ssh-ed25519',
    publicBlob,
    sign: (hash) => splitSignature(signSsh(host, 'ssh-ed25519', hash)).value,
  });
  const server = new ssh2.Server({
    hostKeys: [{ key }] as never,
    algorithms: forSsh2({ ...defaultAlgorithms, keyExchanges: ['curve25519-sha256'] }) as never,
  });
  server.on('connection', (connection) => {
    connection.on('error', () => undefined); // the client leaves
    const protocol = protoOf(connection);
    onEachKeyExchange(protocol, (exchange) => {
      const kex = exchange as unknown as { parse: (payload: Buffer) => unknown; finish: () => void };
      const parse = kex.parse.bind(kex);
      kex.parse = (payload) => {
        parse(payload);
        kex.finish();
        for (const message of messages) sendPayload(protocol, message);
        return false;
      };
    });
  });
  server.injectSocket(socket as never);
}

const connect = (socket: Duplex, acceptUnknownHost: () => Promise<boolean>): Promise<unknown> =>
  connectSsh({
    ...{ target: { stream: socket }, username: 'root', identities: [], now: () => 1_700_000_000n },
    ...{ hostAuthorities: () => [], hostPrincipals: ['node1'], acceptUnknownHost, readyTimeoutMs: 2_000 },
  });
const never = (): Promise<boolean> => new Promise(() => undefined);

it.each([
  ['that the login succeeded', 52],
  ['that the service is there', 6],
  ['a new key exchange', 20],
  ['a channel message', 90],
])('a host that says %s before it is trusted is left', async (_what, type) => {
  const [here, there] = memoryLine();
  hastyServer(there, [Buffer.of(type, 0, 0, 0, 0)]);
  await expect(connect(here, never)).rejects.toThrow(/before it was trusted/);
  expect(here.destroyed).toBe(true);
});

it('what every server may say meanwhile is taken: the question decides', async () => {
  const [here, there] = memoryLine();
  hastyServer(there, [Buffer.of(7, 0, 0, 0, 0), Buffer.of(2, 0, 0, 0, 0)]);
  const no = async (): Promise<boolean> => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    return false;
  };
  await expect(connect(here, no)).rejects.toThrow(/plain key/);
});

it('a host that waits for the answer is served once it is yes, and after new keys', async () => {
  const [ca, host, user] = [generateEd25519(), generateEd25519(), generateEd25519()];
  const certified = (kind: 'user' | 'host', of: typeof ca): Buffer =>
    issueCertificate({
      ...{ key: publicKeyOf(of), ca, kind, keyId: 'x', principals: ['root'], serial: 1n },
      ...{ validAfter: 0n, validBefore: 2n ** 62n, extensions: {} },
    });
  const server = createSshServer(
    {
      hostKeys: [{ privateKey: host, certificate: certified('host', host) }],
      ...{ now: () => 1_700_000_000n, version: 'x', sink: silentLog, rekeyBytes: 2_000 },
      ...{ authorize: () => undefined, onAuthFailure: () => undefined },
      userAuthorities: () => [publicKeyOf(ca).blob],
    },
    () => ({}),
  );
  const [here, there] = memoryLine();
  server.accept(there);
  const client = await connectSsh({
    ...{ target: { stream: here }, username: 'root', now: () => 1_700_000_000n },
    identities: [keyIdentity(user, certified('user', user))],
    ...{ hostAuthorities: () => [], hostPrincipals: ['node1'] },
    acceptUnknownHost: async () => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      return true;
    },
  });
  for (let i = 0; i < 100; i++) expect(String(await client.request('x-teleport-version'))).toBe('x');
  client.close();
  await client.closed;
});
