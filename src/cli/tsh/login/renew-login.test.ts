import { describe, expect, it } from 'vitest';
import { plusMs } from '../../../base/time.ts';
import { generateEd25519 } from '../../../pki/key-pair.ts';
import { parseCertificate } from '../../../pki/ssh-certificate.ts';
import { fromAuthorizedKeyLine, publicKeyOf } from '../../../pki/ssh-key.ts';
import { issueUserSshCertificate } from '../../../pki/user-certificate.ts';
import { testNow } from '../testing.ts';
import { isDue } from './renew-login.ts';

const at = (ms: number): string => plusMs(testNow, ms);
const certified = (renewableFrom: string | undefined, format: 'standard' | 'oldssh' = 'standard') => {
  const line = issueUserSshCertificate({
    publicKey: publicKeyOf(generateEd25519()),
    ca: generateEd25519(),
    username: 'joe',
    principals: ['root'],
    roles: ['admin'],
    traits: {},
    now: testNow,
    ttlSeconds: 3600,
    format,
    permit: { pty: true, portForwarding: true, agentForwarding: false },
    routeToCluster: '',
    renewableFrom,
  });
  return { certificate: parseCertificate(fromAuthorizedKeyLine(line)) };
};

describe('a stored login is renewed', () => {
  it('from the moment that its certificate names on', () => {
    const identity = certified(at(1000));
    expect([at(999), at(1000), at(1001)].map((now) => isDue(identity, now))).toEqual([false, true, true]);
  });
  it.each([
    ['that names none', certified(undefined)],
    ['that has another text there', certified('soon')],
    ['of the format oldssh, which has no room for it', certified(at(0), 'oldssh')],
  ])('never by a certificate %s', (_, identity) => {
    expect(isDue(identity, at(10 ** 9))).toBe(false);
  });
});
