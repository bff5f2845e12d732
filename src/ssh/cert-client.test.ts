import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { generateEd25519 } from '../pki/key-pair.ts';
import { publicKeyOf } from '../pki/ssh-key.ts';
import { connectSsh, keyIdentity, type UnknownHost } from './cert-client.ts';
import {
  hostAuthority,
  memoryLine,
  testConnect,
  testHostKey,
  testIdentity,
  testNow,
  testServer,
} from './testing.ts';

const target = { username: 'root', identities: [testIdentity()], now: () => testNow };
const trust = { hostAuthorities: () => [publicKeyOf(hostAuthority).blob], hostPrincipals: ['node1'] };

describe('a host', () => {
  it.each([
    ['of an authority that is not trusted', { hostAuthorities: () => [] }, /not trusted here \(SHA256:/],
    ['of another name', { hostPrincipals: ['node2'] }, /is not for node2, it is for: node1$/],
    ['whose certificate has expired', { now: () => testNow + 3600n }, /certificate has expired$/],
    [
      'whose certificate is not valid yet',
      { now: () => testNow - 121n },
      /not valid yet; compare the clocks$/,
    ],
    ['of another role', { hostRole: 'Proxy' }, /should be a host in role Proxy, .* names no role$/],
  ] as const)('%s is refused, and its certificate is why', async (_what, wish, message) => {
    const { server } = testServer();
    const { here, client } = testConnect(server, wish);
    await expect(client).rejects.toMatchObject({ code: 'access_denied' });
    await expect(client).rejects.toThrow(message);
    await expect(client).rejects.toThrow(/^handshake failed: /);
    expect(here.destroyed).toBe(true);
  });

  it('whose certificate cannot be believed is refused with what is wrong with it', async () => {
    const { privateKey, certificate } = testHostKey();
    certificate.writeUInt8(certificate.readUInt8(certificate.length - 1) ^ 1, certificate.length - 1);
    const { server } = testServer({ hostKeys: [{ privateKey, certificate }] });
    await expect(testConnect(server).client).rejects.toThrow(
      /^handshake failed: the host certificate is not acceptable \(.*signature/,
    );
  });

  it('that is not vouched for is shown to the person, who may accept it', async () => {
    const { privateKey, certificate } = testHostKey();
    const { server } = testServer({ hostKeys: [{ privateKey, certificate }] });
    const asked: UnknownHost[] = [];
    const { client } = testConnect(server, {
      hostAuthorities: () => [],
      acceptUnknownHost: (host) => asked.push(host) > 0,
    });
    const { hostCertificate } = await client;
    expect(asked).toEqual([
      expect.objectContaining({
        keyBlob: publicKeyOf(privateKey).blob,
        reason: expect.any(String) as string,
      }),
    ]);
    expect(asked[0]?.certificate?.raw).toEqual(certificate);
    expect(hostCertificate?.raw).toEqual(certificate);
    (await client).close();
  });

  it('shows its plain key where that is asked for first, and has no certificate then', async () => {
    const { server } = testServer();
    const { client } = testConnect(server, {
      hostKeyAlgorithms: ['ssh-ed25519'],
      acceptUnknownHost: ({ reason }) => reason === 'the host showed a plain key, no certificate',
    });
    expect((await client).hostCertificate).toBeUndefined();
    (await client).close();
  });

  it('with an RSA key is believed for each of its signature algorithms', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const { certificate } = testHostKey({ key: publicKeyOf(privateKey) });
    const { server } = testServer({ hostKeys: [{ privateKey, certificate }] });
    for (const algorithm of ['rsa-sha2-256-cert-v01@openssh.com', 'rsa-sha2-512-cert-v01@openssh.com']) {
      const { client } = testConnect(server, { hostKeyAlgorithms: [algorithm] });
      expect((await client).hostCertificate?.raw).toEqual(certificate);
      (await client).close();
    }
  });

  it('of which only plain keys are offered fits no client that wants certificates', async () => {
    const { server } = testServer();
    const { client } = testConnect(server, {
      hostKeyAlgorithms: ['ecdsa-sha2-nistp256-cert-v01@openssh.com'],
    });
    await expect(client).rejects.toMatchObject({ code: 'unavailable' });
    await expect(client).rejects.toThrow(/^handshake failed: (?!Handshake failed)/);
  });
});

describe('a login', () => {
  const refused = 'handshake failed: unable to authenticate: ';

  it.each([
    ['without anything to show', [], 'there is no certificate to show'],
    [
      'with a plain key',
      [keyIdentity(generateEd25519())],
      'the server does not accept any of the keys and certificates shown for root',
    ],
    [
      'with what is not a key',
      [{ ...testIdentity(), blob: Buffer.from('nonsense') }],
      'there is no certificate to show',
    ],
    [
      'with a certificate of a host',
      [{ ...testIdentity(), blob: testHostKey().certificate }],
      'there is no certificate to show',
    ],
  ])('%s is refused, and why is said', async (_what, identities, why) => {
    const { server } = testServer();
    const { client } = testConnect(server, { identities });
    await expect(client).rejects.toMatchObject({ code: 'access_denied', message: refused + why });
  });

  it('tries certificates before plain keys, and only as many as it needs', async () => {
    const { server, seen } = testServer();
    const signed: string[] = [];
    const plain = keyIdentity(generateEd25519());
    const identities = () =>
      Promise.resolve([
        plain,
        {
          ...testIdentity(),
          sign: (...asked: Parameters<typeof plain.sign>) => {
            signed.push(asked[0]);
            return testIdentity().sign(...asked);
          },
        },
      ]);
    const { client } = testConnect(server, { identities });
    (await client).close();
    expect(signed).toEqual(['ssh-ed25519']);
    expect(seen.failures).toEqual([]);
    expect(seen.connections[0]?.username).toBe('root');
  });

  it('goes on to the next identity when one cannot sign, and says so when none is left', async () => {
    const broken = { ...testIdentity(), sign: () => Promise.reject(new Error('the agent is locked')) };
    const { server } = testServer();
    const good = testConnect(server, { identities: [broken, testIdentity()] });
    (await good.client).close();
    await expect(testConnect(server, { identities: [broken] }).client).rejects.toThrow(
      /shown for root \(the agent is locked\)$/,
    );
  });

  it('says why there are no identities', async () => {
    const { server } = testServer();
    const identities = () => Promise.reject(new Error('no agent'));
    await expect(testConnect(server, { identities }).client).rejects.toThrow(
      /there is no certificate to show \(no agent\)$/,
    );
  });
});

describe('a connection that does not come about', () => {
  it('is not begun when it was cancelled before', async () => {
    const [here] = memoryLine();
    const written = vi.spyOn(here, 'write');
    const connecting = connectSsh({
      ...target,
      ...trust,
      target: { stream: here },
      signal: AbortSignal.abort(),
    });
    await expect(connecting).rejects.toMatchObject({
      code: 'unavailable',
      message: 'the connection was cancelled',
    });
    expect(written).not.toHaveBeenCalled();
  });

  it('is not begun on a stream that is closed', async () => {
    const [here] = memoryLine();
    here.destroy();
    const connecting = connectSsh({ ...target, ...trust, target: { stream: here } });
    await expect(connecting).rejects.toMatchObject({
      code: 'unavailable',
      message: 'handshake failed: the stream is closed',
    });
  });

  it('is cancelled in the middle', async () => {
    const [here] = memoryLine();
    const leaving = new AbortController();
    const connecting = connectSsh({ ...target, ...trust, target: { stream: here }, signal: leaving.signal });
    leaving.abort();
    await expect(connecting).rejects.toMatchObject({ message: 'the connection was cancelled' });
    expect(here.destroyed).toBe(true);
  });

  it('is given up when nothing is answered in its time', async () => {
    const [here] = memoryLine();
    const connecting = connectSsh({ ...target, ...trust, target: { stream: here }, readyTimeoutMs: 20 });
    await expect(connecting).rejects.toMatchObject({
      code: 'unavailable',
      message: 'handshake failed: no answer within 0.02 seconds',
    });
    expect(here.destroyed).toBe(true);
  });

  it('fails when the other end hangs up', async () => {
    const [here, there] = memoryLine();
    const connecting = connectSsh({ ...target, ...trust, target: { stream: here } });
    there.end();
    await expect(connecting).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/^handshake failed: /) as string,
    });
  });

  it('fails with what broke the line', async () => {
    const [here] = memoryLine();
    const connecting = connectSsh({ ...target, ...trust, target: { stream: here } });
    here.destroy(new Error('the cable was cut'));
    await expect(connecting).rejects.toThrow('handshake failed: the cable was cut');
  });
});

describe('a connection', () => {
  it('that was closed here ends without a reason', async () => {
    const { server } = testServer();
    const client = await testConnect(server).client;
    client.close();
    expect(await client.closed).toBeUndefined();
  });

  it('that the server closed ends with its words', async () => {
    const { server, seen } = testServer();
    const client = await testConnect(server).client;
    seen.connections[0]?.close('the server is stopping');
    expect(await client.closed).toMatchObject({
      code: 'unavailable',
      message: 'the server closed the connection: the server is stopping',
    });
    await expect(client.shell()).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('that broke off says so', async () => {
    const { server } = testServer();
    const { here, client } = testConnect(server);
    const { closed } = await client;
    here.destroy();
    expect(await closed).toMatchObject({ message: 'the server closed the connection' });
  });

  it('is closed when its signal is aborted, and listens to it no longer after its end', async () => {
    const leaving = new AbortController();
    const { server } = testServer();
    const client = await testConnect(server, { signal: leaving.signal }).client;
    leaving.abort();
    expect(await client.closed).toBeUndefined();
  });

  it('leaves nothing behind at the signal of its caller', async () => {
    const { signal } = new AbortController();
    const added = vi.spyOn(signal, 'addEventListener');
    const removed = vi.spyOn(signal, 'removeEventListener');
    const { server } = testServer();
    const client = await testConnect(server, { signal }).client;
    client.close();
    await client.closed;
    await vi.waitFor(() => {
      expect(removed).toHaveBeenCalledTimes(added.mock.calls.length);
    });
  });

  it('knows how the server calls itself', async () => {
    const { server } = testServer();
    const client = await testConnect(server).client;
    expect(client.serverVersion).toBe('SSH-2.0-OpenSSH_Teleport');
    client.close();
  });
});

it('a certificate of another key is no identity', () => {
  expect(() => keyIdentity(generateEd25519(), testIdentity().blob)).toThrow(
    expect.objectContaining({ code: 'misconfigured' }) as Error,
  );
});
