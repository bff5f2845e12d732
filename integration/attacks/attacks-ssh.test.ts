import { randomBytes, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { AnyAuthMethod } from 'ssh2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { version } from '../../src/base/version.ts';
import { generateEd25519, privateKeyFromPem } from '../../src/pki/key-pair.ts';
import { issueCertificate, optionDataText, parseCertificate } from '../../src/pki/ssh-certificate.ts';
import { fromAuthorizedKeyLine, publicKeyOf, signSsh } from '../../src/pki/ssh-key.ts';
import { defaultAlgorithms } from '../../src/ssh/algorithms.ts';
import { connectSsh, keyIdentity, type SshClient } from '../../src/ssh/cert-client.ts';
import { maxChannels } from '../../src/ssh/cert-server.ts';
import * as wire from '../../src/ssh/connection-messages.ts';
import { type Attacked, startAttacked } from './attacked.ts';
import { until } from '../harness/run-program.ts';
import { claims, keyExchangeInit, pour } from '../ssh/ssh-raw-bytes.ts';
import { RawClient, type Shown, shownWith } from '../ssh/ssh-raw-client.ts';
import { now } from '../ssh/ssh-workbench.ts';

let here: Attacked;
beforeAll(async () => {
  here = await startAttacked();
});
afterAll(() => here.cluster.close());

describe('the SSH ports', () => {
  const both = (): (readonly [string, number])[] => [
    ['proxy', here.cluster.ports.proxySsh],
    ['node', here.cluster.ports.ssh],
  ];
  const blob = (): Buffer => fromAuthorizedKeyLine(here.alice.sshCertificate);
  const key = (): KeyObject => privateKeyFromPem(here.alice.privateKeyPem);
  const showing = (shown: Buffer, holder = key()): Shown =>
    shownWith('ssh-ed25519', shown, publicKeyOf(holder).blob, (data) => signSsh(holder, 'ssh-ed25519', data));
  const attempt = async (port: number, username: string, shown: Shown | AnyAuthMethod): Promise<string> => {
    const client = new RawClient();
    const outcome = await client.login(port, username, shown);
    client.end();
    await client.closed;
    return outcome;
  };
  const refusals = async (): Promise<Record<string, unknown>[]> =>
    (await here.events('auth')).filter(({ success }) => success === false);
  /** The certificate of alice, as somebody else would sign it. */
  const forged = (wish: object = {}): Buffer => {
    const { keyId, principals, validAfter, validBefore, extensions } = parseCertificate(blob());
    return issueCertificate({
      key: publicKeyOf(key()),
      ca: generateEd25519(),
      ...{ kind: 'user', keyId, principals: [...principals], validAfter, validBefore },
      extensions: Object.fromEntries(
        [...extensions].map(([name, data]) => [name, data.length === 0 ? '' : (optionDataText(data) ?? '')]),
      ),
      ...wish,
    });
  };

  it('let alice in', async () => {
    for (const [, port] of both()) expect(await attempt(port, 'root', showing(blob()))).toBe('accepted');
  });

  it('let nobody in with nothing, a password, questions or a plain key', async () => {
    const plain = generateEd25519();
    for (const [, port] of both())
      for (const method of [
        { type: 'none' },
        { type: 'password', password: 'correct horse battery' },
        { type: 'keyboard-interactive', prompt: () => undefined },
        {
          algorithm: 'ssh-ed25519',
          ...{ blob: publicKeyOf(plain).blob, plainBlob: publicKeyOf(plain).blob },
          sign: (data: Buffer) => signSsh(plain, 'ssh-ed25519', data),
        },
      ])
        expect(await attempt(port, 'root', method as never)).toBe('refused');
  });

  it.each([
    ['for a login that it does not name', 'nobody', () => showing(blob()), /principal/],
    ['for the user as login', 'alice', () => showing(blob()), /principal/],
    ['signed by another key', 'root', () => showing(forged()), /unknown-ca/],
    [
      'without its private key',
      'root',
      () => ({ ...showing(blob()), sign: stranger }),
      /signature of the login/,
    ],
    [
      'of a host',
      'root',
      () =>
        showing(fromAuthorizedKeyLine(here.node.sshCertificate), privateKeyFromPem(here.node.privateKeyPem)),
      /^(wrong-kind|the certificate has no key id)/,
    ],
    [
      'of a host by its own name',
      '127.0.0.1',
      () =>
        showing(fromAuthorizedKeyLine(here.node.sshCertificate), privateKeyFromPem(here.node.privateKeyPem)),
      /^(wrong-kind|the certificate has no key id)/,
    ],
  ] as const)(
    'refuse a certificate %s, in one word; the audit has the reason',
    async (_name, login, shown, why) => {
      const before = (await refusals()).length;
      for (const [, port] of both()) expect(await attempt(port, login, shown())).toBe('refused');
      const told = await until('both refusals in the audit', async () => {
        const all = (await refusals()).slice(before);
        return all.length >= 2 ? all : undefined;
      });
      for (const event of told)
        expect(event).toMatchObject({ code: 'T3007W', login, error: expect.stringMatching(why) as string });
    },
  );

  it('of the proxy lead to nodes only, by whatever name the machine itself is asked for', async () => {
    const client = await connected(here.cluster.ports.proxySsh);
    const { auth, web, diag } = here.cluster.ports;
    const targets = [
      ...[auth, web, diag, 22].flatMap((port) =>
        ['127.0.0.1', 'localhost', '::1', '0.0.0.0', '::ffff:127.0.0.1', '127.1', '2130706433'].map(
          (host) => [host, port] as const,
        ),
      ),
      ...(['169.254.169.254', 'metadata.google.internal', 'fd00:ec2::254'] as const).map(
        (host) => [host, 80] as const,
      ),
      ...(['node1\n', 'node1\0', 'node1 ', '', '-oProxyCommand=x', 'x'.repeat(100_000)] as const).map(
        (host) => [host, 0] as const,
      ),
    ];
    for (const [host, port] of targets)
      await expect(client.forwardOut({ host, port }), `${host.slice(0, 40)}:${port}`).rejects.toThrow();
    for (const port of [0, 65_536, 4_294_967_295])
      await expect(client.forwardOut({ host: 'node2', port })).rejects.toThrow();
    client.close();
  });

  it('take no name of a subsystem for more than a name', async () => {
    const names = [
      ...[
        'proxy:node1:0\n',
        'proxy:node1\0:0',
        'proxy:node1;id',
        'sftp\n',
        'sftp\0x',
        '../sftp',
        'sftp;id',
        '',
      ],
      ...[
        'x'.repeat(30_000),
        `proxy:${'x'.repeat(30_000)}`,
        'proxy:@',
        'proxy:@@',
        'proxy:a@b@c@d',
        '\u202esftp',
      ],
    ];
    for (const [, port] of both()) {
      const client = await connected(port);
      for (const name of names) await expect(client.subsystem(name), name.slice(0, 40)).rejects.toThrow();
      client.close();
    }
    await here.unharmed();
  });

  it.each([
    ['session', 'session'],
    ['direct-tcpip', 'direct-tcpip'],
    ['a type of 1,000 letters', 'x'.repeat(1_000)],
  ])(
    'give ten thousand opened channels of %s no more than they may, and serve others',
    async (_name, channelType) => {
      for (const [, port] of both()) {
        const client = new RawClient();
        expect(await client.login(port, 'root', showing(blob()))).toBe('accepted');
        const data = Buffer.from(channelType === 'direct-tcpip' ? 'nonsense' : '');
        for (let sender = 0; sender < 10_000; sender++)
          client.send(wire.open({ channelType, sender, window: 1_000, maxPacket: 32_768, data }));
        const honest = await connected(port);
        expect(await honest.request('x-teleport-version')).toEqual(Buffer.from(version));
        honest.close();
        await until('all answers', () => (client.received.length >= 10_000 ? true : undefined));
        const confirmed = client.received.filter((message) => message[0] === 91).length;
        expect(confirmed).toBeLessThanOrEqual(maxChannels);
        client.end();
        await client.closed;
      }
      await here.unharmed();
    },
  );

  async function connected(port: number): Promise<SshClient> {
    return connectSsh({
      target: { host: '127.0.0.1', port },
      username: 'root',
      identities: [keyIdentity(key(), blob())],
      hostAuthorities: () => here.node.sshHostCas.map(fromAuthorizedKeyLine),
      hostPrincipals: [here.cluster.nodename],
      now,
    });
  }
});

describe('the SSH ports, before a login', () => {
  const both = (): readonly number[] => [here.cluster.ports.proxySsh, here.cluster.ports.ssh];
  const residentMiB = (): number =>
    Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${here.cluster.pid()}/status`, 'utf8'))?.[1]) /
    1024;
  it('are served without a native part of ssh2: one that was built aborts with Node 24.19 and later', () => {
    const loaded = readFileSync(`/proc/${here.cluster.pid()}/maps`, 'latin1');
    expect(loaded).toMatch(/koffi.*\.node/);
    expect(loaded).not.toMatch(/sshcrypto|cpufeatures/);
    expect(here.cluster.output()).not.toContain('slower');
  });

  it.each([
    ['of a packet that claims 2 GiB', claims(0x7ffffff4)],
    ['of a packet that claims 4 GiB', claims(0xfffffffc)],
    ['of packets that may be', claims(34_996)],
    ['of an identification without end', Buffer.from('SSH-2.0-')],
    ['of what is no SSH', Buffer.from('GET / HTTP/1.1\r\n')],
  ])('hold nothing %s', async (_name, first) => {
    const before = residentMiB();
    for (const port of both())
      for (let i = 0; i < 3; i++) expect(await pour(port, first, 200)).toBeLessThan(20); // the sockets' buffers
    expect(residentMiB() - before).toBeLessThan(100);
    await here.unharmed();
  });

  it.each(defaultAlgorithms.ciphers)(
    'outlive bursts and garbage after a key exchange with %s, and hold nothing of them',
    async (cipher) => {
      const before = residentMiB();
      const messages: readonly Buffer[] = ['session', 'direct-tcpip', 'x11', '__proto__', ''].map(
        (channelType, i) =>
          wire.open({
            channelType,
            sender: i,
            window: 1 << 21,
            maxPacket: 32_768,
            data: Buffer.alloc(i * 500),
          }),
      );
      for (const port of both())
        for (let round = 0; round < 12; round++) {
          const client = new RawClient();
          await client.exchangeKeys(port, cipher, 'hmac-sha2-256-etm@openssh.com');
          for (let i = 0; i < 5 + round * 6; i++)
            client.send(messages[i % messages.length] ?? Buffer.alloc(1));
          if (round % 2 === 1) client.sendRaw(randomBytes(1 << 18));
          await client.closed;
          expect(client.received).toEqual([]);
        }
      expect(residentMiB() - before).toBeLessThan(100);
      await here.unharmed();
    },
  );

  it.each([
    ['aes128-cbc', 'hmac-sha2-256-etm@openssh.com'],
    ['3des-cbc', 'hmac-sha2-256-etm@openssh.com'],
    ['aes128-ctr', 'hmac-sha2-256'],
    ['aes128-ctr', 'hmac-sha1'],
  ])('agree with no client on %s and %s', async (cipher, mac) => {
    for (const port of both())
      expect(
        await here.raw(port, Buffer.concat([Buffer.from('SSH-2.0-x\r\n'), keyExchangeInit(cipher, mac)])),
      ).toContain('\x01\0\0\0\x03'); // DISCONNECT, KEY_EXCHANGE_FAILED
  });
});

/** Signs with a key of its own. */
const stranger = (data: Buffer): Buffer => signSsh(generateEd25519(), 'ssh-ed25519', data);
