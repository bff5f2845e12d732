import { generateKeyPairSync } from 'node:crypto';
import { Duplex } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../base/log-sink.ts';
import { generateEd25519 } from '../pki/key-pair.ts';
import { issueCertificate } from '../pki/ssh-certificate.ts';
import { publicKeyOf } from '../pki/ssh-key.ts';
import { createSshServer } from './cert-server.ts';
import { minute, second } from '../base/duration.ts';
import { proxyPreamble } from './proxy-preamble.ts';
import { memoryLine, testConnect, testHostKey, testIdentity, testNow, testServer } from './testing.ts';

afterEach(() => vi.useRealTimers());
const fakeTimeouts = (): void => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
};
const closeOf = (socket: Duplex): Promise<unknown> => new Promise((resolve) => socket.once('close', resolve));

it('tells once a minute of addresses that are not believed: anybody can name one', async () => {
  const [ca, host] = [generateEd25519(), generateEd25519()];
  const certificate = issueCertificate({
    ...{ key: publicKeyOf(host), ca, kind: 'host', keyId: '', principals: ['node1'], serial: 1n },
    ...{ validAfter: 0n, validBefore: 2n ** 62n, extensions: {} },
  });
  const told: string[] = [];
  const server = createSshServer(
    {
      hostKeys: [{ privateKey: host, certificate }],
      ...{ now: () => 1_700_000_000n, version: 'x', userAuthorities: () => [] },
      ...{ authorize: () => undefined, onAuthFailure: () => undefined },
      sink: {
        ...silentLog,
        warn: (message, fields) => {
          told.push(`${message}: ${String(fields?.['reason'])}`);
        },
      },
    },
    () => ({}),
  );
  const preamble = proxyPreamble({
    client: { host: '192.0.2.1', port: 1 },
    proof: { certificate: Buffer.of(1), signature: Buffer.of(2) },
  });
  for (let n = 0; n < 20; n++) {
    const socket = new Duplex({
      read: () => undefined,
      write: (_chunk, _encoding, done) => {
        done();
      },
    });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    server.accept(socket, { doubtAboutClient: () => 'it lies' });
    socket.push(preamble);
    await closed;
  }
  expect(told).toEqual([expect.stringMatching(/^ssh connection refused: .* is not believed: it lies$/)]);
});

describe('who may log in', () => {
  it('is asked with the certificate, the name and where the client is', async () => {
    const asked: unknown[] = [];
    const { server } = testServer({
      authorize: ({ keyId }, username, { remoteAddress }) =>
        asked.push([keyId, username, remoteAddress.host]),
    });
    const { client } = testConnect(server, {}, { remoteAddress: { host: '192.0.2.1', port: 1 } });
    (await client).close();
    expect(asked).toEqual([['alice', 'root', '192.0.2.1']]);
  });

  it('is no one of an authority that is trusted no longer', async () => {
    const { server, seen } = testServer({ userAuthorities: () => [] });
    await expect(testConnect(server).client).rejects.toMatchObject({ code: 'access_denied' });
    expect(seen.failures).toEqual([expect.objectContaining({ keyId: 'alice', username: 'root' })]);
  });

  it('may fail so many times, and then is sent away', async () => {
    const { server, seen } = testServer({ userAuthorities: () => [], maxAuthAttempts: 2 });
    const identities = [1n, 2n, 3n].map((serial) => testIdentity({ serial, keyId: `key ${serial}` }));
    const { client } = testConnect(server, { identities });
    await expect(client).rejects.toThrow(/too many authentication failures/);
    expect(seen.failures.map(({ keyId }) => keyId)).toEqual(['key 1', 'key 2']);
  });

  it('may fail six times unless something else is said', async () => {
    const { server, seen } = testServer({ userAuthorities: () => [] });
    const identities = Array.from({ length: 8 }, (_, n) => testIdentity({ keyId: `key ${n}` }));
    await expect(testConnect(server, { identities }).client).rejects.toThrow(/too many/);
    expect(seen.failures).toHaveLength(6);
  });

  it('is on record as one who failed when only a plain key was shown', async () => {
    const { server, seen } = testServer();
    const { there, client } = testConnect(server, {
      identities: [{ ...testIdentity(), blob: publicKeyOf(generateEd25519()).blob }],
    });
    const closed = closeOf(there);
    await expect(client).rejects.toMatchObject({ code: 'access_denied' });
    await closed;
    expect(seen.failures).toEqual([
      expect.objectContaining({ reason: 'a certificate is required, ssh-ed25519 was offered' }),
    ]);
  });
});

describe('a client that does not log in', () => {
  it('is left after a minute, or when it is said', () => {
    fakeTimeouts();
    const { server, seen } = testServer();
    const [, there] = memoryLine();
    server.accept(there);
    vi.advanceTimersByTime(minute - 1);
    expect(there.destroyed).toBe(false);
    vi.advanceTimersByTime(1);
    expect(there.destroyed).toBe(true);
    expect(seen.lines).toEqual(['debug ssh login took too long: ']);
    const [, other] = memoryLine();
    testServer({ loginGraceMs: second }).server.accept(other);
    vi.advanceTimersByTime(second);
    expect(other.destroyed).toBe(true);
  });

  it('leaves no timer when it goes by itself', async () => {
    fakeTimeouts();
    const { server } = testServer();
    const [, there] = memoryLine();
    server.accept(there);
    there.destroy();
    await closeOf(there);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is not one who has logged in, however long ago', async () => {
    fakeTimeouts();
    const { server } = testServer();
    const client = await testConnect(server).client;
    vi.advanceTimersByTime(minute);
    expect(server.connections()).toHaveLength(1);
    client.close();
    await client.closed;
  });

  it('that speaks no SSH is left', async () => {
    const { server } = testServer();
    const [here, there] = memoryLine();
    server.accept(there);
    const closed = closeOf(there);
    here.write('GET / HTTP/1.1\r\n\r\n');
    await closed;
    expect(server.connections()).toEqual([]);
  });
});

describe('a server that drains', () => {
  it('takes nobody new, and serves those who are here', async () => {
    const { server, seen } = testServer();
    const client = await testConnect(server).client;
    server.drain();
    const [, there] = memoryLine();
    server.accept(there);
    expect(there.destroyed).toBe(true);
    expect((await client.request('x-teleport-version'))?.toString()).toBe('4.4');
    expect(seen.connections).toHaveLength(1);
    client.close();
  });

  it('closes everybody with the reason, also who has not logged in', async () => {
    const { server } = testServer();
    const client = await testConnect(server).client;
    const [here, stranger] = memoryLine();
    server.accept(stranger);
    here.resume();
    await server.closeConnections('the server is stopping');
    expect(stranger.destroyed).toBe(true);
    expect((await client.closed)?.message).toContain('the server is stopping');
    expect(server.connections()).toEqual([]);
  });
});

it('a socket that is closed already is not served', () => {
  const { server } = testServer();
  const [, there] = memoryLine();
  there.destroy();
  const written = vi.spyOn(there, 'write');
  server.accept(there);
  expect(written).not.toHaveBeenCalled();
});

describe('the end of a certificate', () => {
  it('that has come closes the connection', async () => {
    const { server } = testServer({ disconnectAt: () => testNow });
    const client = await testConnect(server).client;
    expect((await client.closed)?.message).toContain('the certificate has expired');
  });

  it('that is to come closes it then, by the clock of the server', async () => {
    let now = testNow;
    const { server } = testServer({ now: () => now, disconnectAt: (certificate) => certificate.validBefore });
    fakeTimeouts();
    const client = await testConnect(server).client;
    // The clock was set back meanwhile: it waits for the rest.
    now = testNow + 3540n;
    await vi.advanceTimersByTimeAsync(3600 * second);
    expect(server.connections()).toHaveLength(1);
    now = testNow + 3600n;
    await vi.advanceTimersByTimeAsync(60 * second - 1);
    expect(server.connections()).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect((await client.closed)?.message).toContain('the certificate has expired');
  });

  it('is waited for by nobody once the connection is closed, nor where it does not count', async () => {
    for (const disconnectAt of [() => testNow + 3600n, () => undefined]) {
      fakeTimeouts();
      const { server, seen } = testServer({ disconnectAt });
      const client = await testConnect(server).client;
      client.close();
      await client.closed;
      await seen.connections[0]?.closed;
      await new Promise((resolve) => setImmediate(resolve));
      expect(vi.getTimerCount()).toBe(0);
      vi.useRealTimers();
    }
  });
});

describe('other host keys', () => {
  it('are shown to those who come from then on', async () => {
    const { server } = testServer();
    const other = testHostKey({ serial: 77n });
    server.setHostKeys([other]);
    const client = await testConnect(server).client;
    expect(client.hostCertificate?.serial).toBe(77n);
    client.close();
  });

  it('of another type, or none, or without a certificate that fits, are refused', () => {
    const { server } = testServer();
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { certificate } = testHostKey({ key: publicKeyOf(privateKey) });
    const refused = { code: 'misconfigured' };
    const set = (keys: Parameters<typeof server.setHostKeys>[0]) => () => {
      server.setHostKeys(keys);
    };
    const types = 'new host keys must be of the same types as the old';
    expect(set([{ privateKey, certificate }])).toThrow(
      expect.objectContaining({ ...refused, message: types }) as Error,
    );
    expect(set([testHostKey(), { privateKey, certificate }])).toThrow(types);
    expect(set([])).toThrow('an ssh server needs a host key');
    const misfit = 'the host certificate does not fit its key';
    expect(set([{ privateKey, certificate: testHostKey().certificate }])).toThrow(misfit);
    expect(set([{ ...testHostKey(), certificate: testIdentity().blob }])).toThrow(misfit);
    expect(set([{ ...testHostKey(), certificate: Buffer.of(1) }])).toThrow(
      /^the host certificate cannot be read: /,
    );
  });
});

it('whoever serves a client with an error is rid of it: the connection is closed, and the log says why', async () => {
  const { server, seen } = testServer({}, () => {
    throw new Error('no such view');
  });
  const client = await testConnect(server).client;
  expect((await client.closed)?.message).toContain('internal error');
  expect(seen.lines).toContain('error ssh connection failed: no such view');
});

it('each connection has a number of its own', async () => {
  const { server, seen } = testServer();
  for (let n = 0; n < 2; n++) (await testConnect(server).client).close();
  expect(seen.connections.map(({ id }) => id)).toEqual([1, 2]);
});

it('a client has as many channels as it may', async () => {
  const { server } = testServer({ maxChannels: 2 }, () => ({
    session: (open) =>
      open.accept((request) => {
        request.accept();
      }),
  }));
  const client = await testConnect(server).client;
  await client.shell();
  await client.shell();
  await expect(client.shell()).rejects.toThrow('too many channels');
  client.close();
});

it('keys are renewed before more is sent than they are good for', async () => {
  for (const [rekeyBytes, are] of [
    [2_000, true],
    [undefined, false],
  ] as const) {
    const { server } = testServer(rekeyBytes === undefined ? {} : { rekeyBytes });
    const { here, client } = testConnect(server);
    const connected = await client;
    let longest = 0;
    here.on('data', (chunk: Buffer) => (longest = Math.max(longest, chunk.length)));
    for (let n = 0; n < 50; n++) await connected.request('x-teleport-version');
    // An answer is short, the list of algorithms with which an exchange begins is not.
    expect(longest > 400).toBe(are);
    connected.close();
  }
});
