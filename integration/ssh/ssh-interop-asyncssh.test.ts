import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { run } from '../harness/run-program.ts';
import {
  authorityLine,
  blobOf,
  cleanUp,
  hostAuthority,
  hostCertificate,
  runOverOurs,
  said,
  saveKey,
  serve,
  sharedKey,
  startProgram,
  strangeAuthority,
  userAuthority,
  userCertificate,
  userIdentity,
  writeText,
  type KeyKind,
  type Served,
} from './ssh-workbench.ts';

const hostAlgorithms = [
  'ssh-ed25519-cert-v01@openssh.com',
  'ecdsa-sha2-nistp256-cert-v01@openssh.com',
  'rsa-sha2-512-cert-v01@openssh.com',
  'rsa-sha2-256-cert-v01@openssh.com',
];
const pairs = <A, B>(as: readonly A[], bs: readonly B[]): [A, B][] =>
  as.flatMap((a) => bs.map((b): [A, B] => [a, b]));

let ours: Served;

beforeAll(async () => {
  ours = await serve();
});
afterAll(cleanUp);

const savedUser = (kind: KeyKind): string =>
  saveKey(
    `user_${kind}`,
    sharedKey(kind, 'user'),
    userCertificate(sharedKey(kind, 'user'), {
      ca: userAuthority(kind === 'p384' || kind === 'p521' ? 'ed25519' : kind),
    }),
  );

describe('asyncssh', () => {
  it.each(pairs(hostAlgorithms.slice(0, 3), ['ed25519', 'p256', 'rsa'] as const))(
    'its client to our server: host key %s, user certificate of %s',
    async (hostAlgorithm, kind) => {
      const trusted = writeText(
        'asyncssh_hosts',
        authorityLine(hostAuthority('ed25519')).replace('*', `[127.0.0.1]:${ours.port}`),
      );
      const ran = await run('/usr/bin/python3', [
        '-W',
        'ignore',
        'integration/ssh/asyncssh-peer.py',
        'client',
        String(ours.port),
        savedUser(kind),
        trusted,
        hostAlgorithm,
        'hi',
      ]);
      expect(ran.stdout, ran.stderr).toBe('ran hi');
    },
  );

  it('its client refuses our server when the authority is not trusted', async () => {
    const trusted = writeText(
      'asyncssh_strange',
      authorityLine(strangeAuthority()).replace('*', `[127.0.0.1]:${ours.port}`),
    );
    const ran = await run('/usr/bin/python3', [
      '-W',
      'ignore',
      'integration/ssh/asyncssh-peer.py',
      'client',
      String(ours.port),
      savedUser('ed25519'),
      trusted,
      hostAlgorithms[0] ?? '',
      'hi',
    ]);
    expect(ran.stderr).toContain('HostKeyNotVerifiable');
    expect(ran.stdout).toBe('');
  });

  describe('our client to its server', () => {
    let port: number;
    beforeAll(async () => {
      const hostKeys = (['ed25519', 'p256', 'rsa'] as const).map((kind) =>
        saveKey(`asyncssh_${kind}`, sharedKey(kind, 'host'), hostCertificate(sharedKey(kind, 'host'))),
      );
      const authorities = (['ed25519', 'p256', 'rsa'] as const).map(
        (kind) => `cert-authority,principals="root" ${toAuthorizedKeyLine(blobOf(userAuthority(kind)))}\n`,
      );
      const trusted = writeText('asyncssh_authorized', authorities.join(''));
      const child = startProgram('/usr/bin/python3', [
        '-W',
        'ignore',
        'integration/ssh/asyncssh-peer.py',
        'server',
        trusted,
        ...hostKeys,
      ]);
      port = Number((await said(child, 'stdout', /LISTENING (\d+)/))[1]);
    });

    it.each(pairs(hostAlgorithms.slice(0, 2), ['ed25519', 'p256', 'rsa'] as const))(
      'host key %s, user certificate of %s',
      async (hostAlgorithm, kind) => {
        const wish = {
          identities: [userIdentity(kind, { ca: userAuthority(kind) })],
          hostKeyAlgorithms: [hostAlgorithm],
        };
        expect(await runOverOurs(port, 'hi', wish)).toBe('asyncssh ran hi');
      },
    );

    it('an algorithm it does not have ends in a plain refusal', async () => {
      const refused = runOverOurs(port, 'hi', { hostKeyAlgorithms: ['rsa-sha2-512-cert-v01@openssh.com'] });
      await expect(refused).rejects.toMatchObject({
        code: 'unavailable',
        message: 'handshake failed: no matching host key format',
      });
    });
  });
});
