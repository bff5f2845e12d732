import net from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectSsh, keyIdentity } from '../../src/ssh/cert-client.ts';
import { createSshServer, type HostKey } from '../../src/ssh/cert-server.ts';
import { certAlgOf } from '../../src/pki/ssh-certificate.ts';
import { publicKeyOf, signSsh, splitSignature } from '../../src/pki/ssh-key.ts';
import { rawCertificate } from '../../src/pki/testing.ts';
import { ssh2 } from '../../src/ssh/ssh2-library.ts';
import { disguisedKey, labelHostSignature, parseDonor, protoOf } from '../../src/ssh/ssh2-internals.ts';
import { run } from '../harness/run-program.ts';
import {
  authorityLine,
  writeText,
  blobOf,
  hostAuthority,
  listen,
  sharedKey,
  cleanUp,
  clientOptions,
  hostCertificate,
  hostKeysOf,
  makeKey,
  now,
  runOverOurs,
  serve,
  strangeAuthority,
  userAuthority,
  userCertificate,
  type Served,
} from './ssh-workbench.ts';

let ours: Served;
beforeAll(async () => {
  ours = await serve();
});
afterAll(cleanUp);

describe('a host that our client must refuse', () => {
  const hosts: Record<string, [string, Parameters<typeof hostCertificate>[1]]> = {
    'one whose certificate has expired': ['has expired', { validAfter: 1n, validBefore: now() - 61n }],
    'one whose certificate is not valid yet': ['not valid yet', { validAfter: now() + 500n }],
    'one of another name': ['is not for 127.0.0.1, it is for: other', { principals: ['other'] }],
    'one of another cluster': ['an authority that is not trusted', { ca: strangeAuthority() }],
    'one certified by the user authority': [
      'an authority that is not trusted',
      { ca: userAuthority('ed25519') },
    ],
  };
  /** Our own issuer makes no such thing. */
  function hostKeyWithCriticalOption(): HostKey {
    const privateKey = sharedKey('ed25519', 'host');
    const ca = hostAuthority('ed25519');
    const certificate = rawCertificate({
      key: publicKeyOf(privateKey),
      kind: 2,
      principals: ['127.0.0.1'],
      validAfter: now() - 60n,
      validBefore: now() + 3600n,
      criticalOptions: [['x', Buffer.alloc(0)]],
      extensions: [],
      caBlob: blobOf(ca),
      sign: (signed) => signSsh(ca, 'ssh-ed25519', signed),
    });
    return { privateKey, certificate };
  }
  const hostKeys = [
    ...Object.entries(hosts).map(([name, [reason, wish]]) => ({
      name,
      reason,
      make: () => hostKeysOf(['ed25519'], wish),
    })),
    {
      name: 'one with a critical option',
      reason: 'critical-option',
      make: () => [hostKeyWithCriticalOption()],
    },
  ];
  it.each(hostKeys)('$name', async ({ reason, make }) => {
    const served = await serve({ hostKeys: make() });
    const asked: string[] = [];
    await expect(connectSsh(clientOptions(served.port))).rejects.toMatchObject({
      code: 'access_denied',
      message: expect.stringMatching(new RegExp(`^handshake failed: .*${reason}`)) as string,
    });
    const declined = {
      acceptUnknownHost: (host: { reason: string }) => {
        asked.push(host.reason);
        return Promise.resolve(false);
      },
    };
    await expect(connectSsh(clientOptions(served.port, declined))).rejects.toMatchObject({
      code: 'access_denied',
    });
    expect(asked.join()).toContain(reason);
    const insisted = { acceptUnknownHost: () => Promise.resolve(true) };
    expect(await runOverOurs(served.port, 'hi', insisted)).toBe('ran hi');
  });

  it('one with a plain key only, unless a person says yes', async () => {
    const plain = { hostKeyAlgorithms: ['ssh-ed25519'] };
    await expect(connectSsh(clientOptions(ours.port, plain))).rejects.toThrow(/plain key, no certificate/);
    const fingerprints: string[] = [];
    const asking = {
      ...plain,
      acceptUnknownHost: (host: { fingerprint: string }) => {
        fingerprints.push(host.fingerprint);
        return true;
      },
    };
    expect(await runOverOurs(ours.port, 'hi', asking)).toBe('ran hi');
    expect(fingerprints[0]).toMatch(/^SHA256:/);
  });

  /** A server that shows the certificate of another host: it has everything but the key. */
  async function impostor(): Promise<number> {
    const victim = sharedKey('ed25519', 'host');
    const thief = makeKey('ed25519');
    const type = certAlgOf('ssh-ed25519');
    const showing = (label: () => void): ReturnType<typeof disguisedKey> =>
      disguisedKey(parseDonor(blobOf(victim)), {
        type,
        publicBlob: hostCertificate(victim),
        sign: (hash) => {
          label();
          return splitSignature(signSsh(thief, 'ssh-ed25519', hash)).value;
        },
      });
    const server = new ssh2.Server({ hostKeys: [{ key: showing(() => undefined) }] as never });
    server.on('connection', (connection) => {
      connection.on('error', () => undefined); // the client will not like it
      const protocol = protoOf(connection);
      protocol._hostKeys = {
        [type]: showing(() => {
          labelHostSignature(protocol, 'ssh-ed25519');
        }),
      };
    });
    return listen(
      net.createServer((socket) => {
        server.injectSocket(socket);
      }),
    );
  }

  it('one that has the certificate of a host but not its key; ssh(1) refuses it too', async () => {
    const port = await impostor();
    await expect(connectSsh(clientOptions(port))).rejects.toThrow(
      'handshake failed: signature verification failed',
    );
    const insisted = { acceptUnknownHost: () => true, hostAuthorities: () => [] };
    await expect(connectSsh(clientOptions(port, insisted))).rejects.toThrow('signature verification failed');
    const known = writeText('known_victim', authorityLine(hostAuthority('ed25519')));
    const ran = await run('ssh', [
      '-F',
      'none',
      '-p',
      String(port),
      '-o',
      `UserKnownHostsFile=${known}`,
      'root@127.0.0.1',
      'x',
    ]);
    expect(ran.stderr).toContain('incorrect signature');
  });

  it('a server is not started with a user certificate', () => {
    const key = makeKey('ed25519');
    expect(() =>
      createSshServer(
        {
          hostKeys: [{ privateKey: key, certificate: userCertificate(key) }],
          userAuthorities: () => [],
          now,
          version: '',
          sink: undefined as never,
          authorize: () => undefined,
          onAuthFailure: () => undefined,
        },
        () => ({}),
      ),
    ).toThrow(/does not fit its key/);
    expect(() => keyIdentity(makeKey('ed25519'), userCertificate(key))).toThrow(/does not belong/);
  });
});
