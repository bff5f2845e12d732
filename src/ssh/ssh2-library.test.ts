import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { silentLog } from '../base/log-sink.ts';
import { generateEd25519 } from '../pki/key-pair.ts';
import { issueCertificate } from '../pki/ssh-certificate.ts';
import { publicKeyOf } from '../pki/ssh-key.ts';
import { chooseAlgorithms } from './algorithms.ts';
import { connectSsh, keyIdentity } from './cert-client.ts';
import { createSshServer } from './cert-server.ts';
import { loadOpenssl } from './openssl-primitives.ts';
import { servedCiphers, servedMacs } from './packet-algorithms.ts';
import { memoryLine } from './testing.ts';

const at = 1_700_000_000n;
const key = generateEd25519;
const [ca, host, user] = [key(), key(), key()];
const certified = (kind: 'user' | 'host', of: ReturnType<typeof key>, principal: string): Buffer =>
  issueCertificate({
    ...{ key: publicKeyOf(of), ca, kind, keyId: 'x', principals: [principal], serial: 1n },
    ...{ validAfter: at - 60n, validBefore: at + 60n, extensions: {} },
  });

const live = (): number => {
  const openssl = loadOpenssl();
  return openssl.status === 'loaded' ? openssl.liveContexts() : -1;
};

describe('ssh2 with our packet layer', () => {
  it('never loads a native part, nor its own ciphers', () => {
    const loaded = Object.keys(createRequire(import.meta.url).cache).filter((file) =>
      file.includes('/ssh2/'),
    );
    expect(loaded.length).toBeGreaterThan(10);
    expect(loaded.filter((file) => /\.node$|poly1305/.test(file))).toEqual([]);
    const addons = process.report.getReport() as { sharedObjects: string[] };
    expect(addons.sharedObjects.filter((file) => /sshcrypto|cpufeatures/.test(file))).toEqual([]);
  });

  const suites = Object.entries(servedCiphers).flatMap(([name, { authLen }]) =>
    (authLen > 0 ? [undefined] : Object.keys(servedMacs)).map((mac) => ({ cipher: name, mac })),
  );
  it.each(suites)('serves $cipher $mac, renews its keys, and gives every context back', async (suite) => {
    const { cipher, mac } = suite;
    const before = live();
    const algorithms = chooseAlgorithms({ ciphers: [cipher], macAlgos: mac === undefined ? [] : [mac] });
    const hostKeys = [{ privateKey: host, certificate: certified('host', host, 'node1') }];
    const server = createSshServer(
      {
        ...{ hostKeys, algorithms, now: () => at, version: 'x', sink: silentLog, rekeyBytes: 2_000 },
        userAuthorities: () => [publicKeyOf(ca).blob],
        authorize: () => undefined,
        onAuthFailure: () => undefined,
      },
      () => ({}),
    );
    const [here, there] = memoryLine();
    server.accept(there);
    const client = await connectSsh({
      ...{ target: { stream: here }, username: 'root', algorithms, now: () => at },
      identities: [keyIdentity(user, certified('user', user, 'root'))],
      hostAuthorities: () => [publicKeyOf(ca).blob],
      hostPrincipals: ['node1'],
    });
    expect(live()).toBeGreaterThan(before);
    for (let i = 0; i < 100; i++) expect(String(await client.request('x-teleport-version'))).toBe('x');
    client.close();
    await client.closed;
    await server.closeConnections('done');
    expect(live()).toBe(before);
  });
});
