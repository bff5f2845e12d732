import { afterAll, describe, expect, it } from 'vitest';
import { readFileSync } from 'node:fs';
import { checkCertificate, optionText } from '../../src/pki/check-ssh-certificate.ts';
import { certTypeOf, FOREVER, parseCertificate } from '../../src/pki/ssh-certificate.ts';
import { fromAuthorizedKeyLine, publicKeyOf, toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { run } from '../harness/run-program.ts';
import {
  blobOf,
  cleanUp,
  hostAuthority,
  hostCertificate,
  makeKey,
  now,
  saveKey,
  sharedKey,
  userAuthority,
  userCertificate,
  writeText,
  type KeyKind,
} from './ssh-workbench.ts';

const keyKinds: readonly KeyKind[] = ['ed25519', 'p256', 'p384', 'p521', 'rsa'];
const authorityKinds: readonly KeyKind[] = ['ed25519', 'p256', 'rsa'];
const pairs = <A, B>(as: readonly A[], bs: readonly B[]): [A, B][] =>
  as.flatMap((a) => bs.map((b): [A, B] => [a, b]));

afterAll(cleanUp);

describe('issuing certificates', () => {
  const cases = pairs(authorityKinds, keyKinds).flatMap(([ca, kind]) => [
    ['user', kind, ca] as const,
    ['host', kind, ca] as const,
  ]);
  it.each(cases)(
    'ssh-keygen reads a %s certificate for %s by an authority of %s',
    async (kind, keyKind, ca) => {
      const key = sharedKey(keyKind, 'issued');
      const certificate =
        kind === 'user'
          ? userCertificate(key, {
              ca: userAuthority(ca),
              criticalOptions: { 'source-address': '127.0.0.0/8', 'force-command': '/bin/true' },
            })
          : hostCertificate(key, { ca: hostAuthority(ca) });
      const path = writeText(`issued-${kind}-${keyKind}-${ca}-cert.pub`, toAuthorizedKeyLine(certificate));
      const { stdout } = await run('ssh-keygen', ['-L', '-f', path]);
      expect(stdout).toContain(`${certTypeOf(publicKeyOf(key).type)} ${kind} certificate`);
      if (kind === 'user') {
        expect(stdout).toContain('Serial: 42');
        expect(stdout).toContain('force-command /bin/true');
        expect(stdout).toContain('source-address 127.0.0.0/8');
        expect(stdout).toContain('permit-pty');
      }
      checkCertificate(parseCertificate(certificate), {
        kind,
        cas: [blobOf((kind === 'user' ? userAuthority : hostAuthority)(ca))],
        principals: kind === 'user' ? ['root'] : ['node1'],
        now: now(),
        sourceAddress: '127.0.0.1',
        understood: ['force-command'],
      });
    },
  );

  it('reads what ssh-keygen issued, and keeps to its source-address', async () => {
    const authority = saveKey('keygen_ca', userAuthority('ed25519'));
    const user = saveKey('keygen_user', makeKey('p256'));
    const options = [
      '-V',
      '-5m:+1h',
      '-z',
      '18446744073709551615',
      '-O',
      'source-address=10.0.0.0/8,127.0.0.1',
      '-O',
      'no-pty',
    ];
    await run('ssh-keygen', [
      '-q',
      '-s',
      authority,
      '-I',
      'kg',
      '-n',
      'alice,bob',
      ...options,
      `${user}.pub`,
    ]);
    const certificate = parseCertificate(fromAuthorizedKeyLine(readFileSync(`${user}-cert.pub`, 'utf8')));
    expect(certificate.principals).toEqual(['alice', 'bob']);
    expect(certificate.serial).toBe(FOREVER);
    expect(optionText(certificate, 'source-address')).toBe('10.0.0.0/8,127.0.0.1');
    expect(certificate.extensions.has('permit-pty')).toBe(false);
    expect(certificate.extensions.has('permit-port-forwarding')).toBe(true);
    const policy = {
      kind: 'user',
      cas: [blobOf(userAuthority('ed25519'))],
      principals: ['bob'],
      now: now(),
    } as const;
    expect(() => {
      checkCertificate(certificate, { ...policy, sourceAddress: '192.168.1.1' });
    }).toThrow('source-address');
  });
});
