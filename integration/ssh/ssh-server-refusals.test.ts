import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CodedError } from '../../src/base/errors.ts';
import { signSsh } from '../../src/pki/ssh-key.ts';
import { connectSsh } from '../../src/ssh/cert-client.ts';
import * as wire from '../../src/ssh/connection-messages.ts';
import { run } from '../harness/run-program.ts';
import { badLogins, rsa, rsaCertificate, showing, user } from './ssh-bad-certificates.ts';
import { RawClient } from './ssh-raw-client.ts';
import {
  blobOf,
  cleanUp,
  clientOptions,
  gone,
  hostAuthority,
  makeKey,
  saveKey,
  serve,
  strangeAuthority,
  userCertificate,
  userIdentity,
  writeText,
  authorityLine,
  type Served,
} from './ssh-workbench.ts';

let ours: Served;
beforeAll(async () => {
  ours = await serve();
});
afterAll(cleanUp);

describe('a certificate that must be refused', () => {
  it.each(Object.entries(badLogins))('%s', async (_name, make) => {
    const { shown, reason, username = 'root' } = make();
    const failures = ours.failures.length;
    const client = new RawClient();
    expect(await client.login(ours.port, username, shown)).toBe('refused');
    client.end();
    await client.closed;
    const told = ours.failures.slice(failures);
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({ username, reason: expect.stringMatching(reason) as string });
    expect(told[0]?.peer.remoteAddress.host).toBe('127.0.0.1');
  });

  it('is named with its key id in the audit', async () => {
    const failures = ours.failures.length;
    const client = new RawClient();
    await client.login(
      ours.port,
      'root',
      showing(userCertificate(user(), { keyId: 'mallory', ca: strangeAuthority() })),
    );
    expect(ours.failures.slice(failures)).toMatchObject([{ keyId: 'mallory' }]);
    client.end();
  });

  it('is told in a few bytes, however long the names are that it and its bearer claim', async () => {
    const failures = ours.failures.length;
    const client = new RawClient();
    const certificate = userCertificate(user(), { keyId: 'k'.repeat(15_000), ca: strangeAuthority() });
    await client.login(ours.port, `root${'x'.repeat(8_000)}`, showing(certificate));
    const told = ours.failures.slice(failures);
    expect(told).toMatchObject([
      {
        keyId: expect.stringMatching(/^k{100}… \(15000 bytes, sha256 [0-9a-f]{16}\)$/) as string,
        username: expect.stringMatching(/^rootx{96}… \(8004 bytes/) as string,
      },
    ]);
    expect(told[0]?.reason.length).toBeLessThan(460);
    client.end();
  });

  it('an honest one by the same raw client is let in', async () => {
    const client = new RawClient();
    expect(await client.login(ours.port, 'root', showing(userCertificate(user())))).toBe('accepted');
    client.end();
  });

  it('RSA under the old name, but signed with SHA-2, is let in', async () => {
    const client = new RawClient();
    const shown = showing(
      rsaCertificate(),
      { algorithm: 'ssh-rsa-cert-v01@openssh.com' },
      rsa(),
      'rsa-sha2-512',
    );
    expect(
      await client.login(ours.port, 'root', { ...shown, algorithm: 'ssh-rsa-cert-v01@openssh.com' }),
    ).toBe('accepted');
    client.end();
  });
});

describe('logging in without a certificate', () => {
  it.each([
    ['with a password', { type: 'password', password: 'secret' }],
    ['with keyboard-interactive', { type: 'keyboard-interactive', prompt: () => undefined }],
    ['with nothing', { type: 'none' }],
  ] as const)('%s is refused', async (_name, method) => {
    const client = new RawClient();
    expect(await client.login(ours.port, 'root', method as never)).toBe('refused');
    client.end();
    await client.closed;
  });

  it('with a plain key is refused, and told once when the client has gone', async () => {
    const failures = ours.failures.length;
    const client = new RawClient();
    const key = user();
    const shown = {
      algorithm: 'ssh-ed25519',
      blob: blobOf(key),
      plainBlob: blobOf(key),
      sign: (d: Buffer) => signSsh(key, 'ssh-ed25519', d),
    };
    expect(await client.login(ours.port, 'root', shown)).toBe('refused');
    client.end();
    await client.closed;
    await expect
      .poll(() => ours.failures.slice(failures).map(({ reason }) => reason))
      .toEqual(['a certificate is required, ssh-ed25519 was offered']);
  });

  it('ssh(1) with a plain key and with a password is refused with the same words', async () => {
    const key = saveKey('plain', makeKey('ed25519'));
    const known = writeText('known', authorityLine(hostAuthority('ed25519')));
    const ran = await run('ssh', [
      ...[
        '-F',
        'none',
        '-p',
        String(ours.port),
        '-i',
        key,
        '-o',
        'BatchMode=yes',
        '-o',
        `UserKnownHostsFile=${known}`,
      ],
      'root@127.0.0.1',
      'x',
    ]);
    expect(ran.stderr).toContain('root@127.0.0.1: Permission denied (publickey).');
    expect(ran.code).toBe(255);
  });
});

describe('before the login', () => {
  it('a probe that the server would take opens nothing, and is no login', async () => {
    const asked: string[] = [];
    const probed = await serve({ authorize: (_certificate, username) => void asked.push(username) });
    const client = new RawClient();
    const { algorithm, blob, plainBlob } = showing(userCertificate(user()));
    expect(await client.login(probed.port, 'root', { algorithm, blob, plainBlob })).toBe('probed');
    const data = Buffer.alloc(0);
    client.send(wire.open({ channelType: 'session', sender: 0, window: 1000, maxPacket: 32768, data }));
    await client.closed;
    expect(client.received).toEqual([]);
    expect(probed.connections).toEqual([]);
    expect(asked).toEqual([]);
  });

  it('the rules of the owner have the last word, and are not told to the client', async () => {
    const strict = await serve({
      authorize: (certificate, username) => {
        throw new CodedError('access_denied', `${certificate.keyId} may not be ${username} here`);
      },
    });
    const refused = connectSsh(clientOptions(strict.port));
    await expect(refused).rejects.toThrow(
      /^handshake failed: unable to authenticate: the server does not accept/,
    );
    await expect(refused).rejects.not.toThrow(/may not be/);
    expect(strict.failures).toMatchObject([{ keyId: 'alice', reason: 'alice may not be root here' }]);
  });

  it('a fault in the rules refuses as well', async () => {
    const faulty = await serve({
      authorize: () => {
        throw new TypeError('x is undefined');
      },
    });
    await expect(connectSsh(clientOptions(faulty.port))).rejects.toMatchObject({ code: 'access_denied' });
  });

  it('too many bad certificates end the connection', async () => {
    const impatient = await serve({ maxAuthAttempts: 3 });
    const identities = Array.from({ length: 5 }, (_, i) =>
      userIdentity('ed25519', { ca: strangeAuthority(), keyId: `try ${i}` }, makeKey('ed25519')),
    );
    await expect(connectSsh(clientOptions(impatient.port, { identities }))).rejects.toThrow(
      /too many authentication failures/,
    );
    expect(impatient.failures.map(({ keyId }) => keyId)).toEqual(['try 0', 'try 1', 'try 2']);
  });

  it.each([
    ['that says nothing', ''],
    ['that stops after its banner', 'SSH-2.0-slow\r\n'],
  ])('a client %s is cut off', async (_name, text) => {
    const brief = await serve({ loginGraceMs: 200 });
    const socket = net.connect(brief.port, '127.0.0.1');
    socket.write(text);
    socket.resume();
    await gone(socket);
  });

  it('garbage ends that connection and no other', async () => {
    const client = await connectSsh(clientOptions(ours.port));
    for (const first of [Buffer.alloc(0), Buffer.from('SSH-2.0-fuzz\r\n')])
      for (let i = 0; i < 40; i++) {
        const socket = net.connect(ours.port, '127.0.0.1');
        socket.on('error', () => undefined);
        socket.end(Buffer.concat([first, randomBytes(1 + i * 37)]));
        socket.resume();
        await gone(socket);
      }
    expect(await client.request('x-teleport-version')).toEqual(Buffer.from('4.5.0'));
    client.close();
  });
});
