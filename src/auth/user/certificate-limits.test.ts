import { X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certificateMisfit } from '../../domain/certificate-limits.ts';
import type { RoleSpec } from '../../domain/role-spec.ts';
import { second } from '../../base/time.ts';
import { role as roleRules } from '../../domain/role.ts';
import { roleStream } from '../../domain/streams.ts';
import { execute } from '../../log/execute.ts';
import { parseCertificate } from '../../pki/ssh-certificate.ts';
import { fromAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import { tlsIdentityOf } from '../../pki/tls-identity.ts';
import { userIdentityOf } from '../../pki/user-certificate.ts';
import { createUser } from './create-user.ts';
import { grantOf, readPublicKey, signCertificates } from './issue-certificates.ts';
import { searchAudit } from '../audit/search-audit.ts';
import type { Signer } from '../secrets/signing-keys.ts';
import {
  addRole,
  addUser,
  adminCall,
  codeFor,
  newKeyLine,
  openTestAuth,
  type TestAuth,
  tryLogin,
} from '../testing.ts';

let auth: TestAuth;
let signer: Signer;
beforeAll(async () => {
  auth = await openTestAuth();
  signer = await auth.deps.keys.signer('user');
});
afterAll(async () => {
  await auth.close();
  await auth.log.close();
});

const options = {
  maxSessionTtlSeconds: 3_600,
  forwardAgent: false,
  portForwarding: true,
  disconnectExpiredCert: false,
  clientIdleTimeoutSeconds: 0,
  maxSessions: 0,
};
const roleWith = (logins: string[], name = 'many'): RoleSpec => ({
  name,
  options,
  allow: { logins, nodeLabels: { '*': ['*'] } },
  deny: { logins: [], nodeLabels: {} },
});
const loginNames = (n: number, length = 8): string[] =>
  Array.from({ length: n }, (_, i) => `u${String(i).padStart(length - 1, '0')}`);
const sign = (logins: string[], traits: Record<string, string[]>) => {
  const roles = [roleWith(logins)];
  const request = { username: 'alice', roles, traits, ttlSeconds: 3_600 };
  const publicKey = readPublicKey(newKeyLine());
  const rest = {
    lifeId: '00000000-0000-7000-8000-000000000001',
    format: 'standard',
    routeToCluster: '',
  } as const;
  return signCertificates(auth.deps, signer, { ...request, ...rest, publicKey }, grantOf(request));
};

describe('what fits a certificate', () => {
  it('can be signed, read back by both readers, and sent in one login request', () => {
    const word = fc.string({ unit: 'grapheme', maxLength: 40 });
    const words = fc.array(word, { maxLength: 40 });
    const traits = fc.dictionary(
      // No user has a trait of such a name: `foreignRecord` refuses it.
      fc
        .oneof(word, fc.constantFrom('kubernetes_users', 'kubernetes_groups'))
        .filter((name) => name !== '__proto__'),
      words,
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 256 }), traits, (n, given) => {
        const logins = loginNames(n, 32);
        const contents = { username: 'alice', roles: ['many'], logins, traits: given };
        fc.pre(certificateMisfit(contents) === undefined);
        const { sshCertificate, tlsCertificatePem } = sign(logins, given);
        const blob = fromAuthorizedKeyLine(sshCertificate);
        expect(blob.length).toBeLessThan(30_000);
        expect(userIdentityOf(parseCertificate(blob)).traits).toEqual(given);
        expect(tlsIdentityOf(new X509Certificate(tlsCertificatePem)).principals).toEqual(logins);
      }),
      { numRuns: 30 },
    );
  });

  it('is at most 256 logins of the longest names, and 28,000 bytes', () => {
    const most = loginNames(256, 32);
    expect(certificateMisfit({ username: 'a', roles: ['r'], logins: most, traits: { logins: most } })).toBe(
      undefined,
    );
    const more = loginNames(257);
    expect(certificateMisfit({ username: 'a', roles: ['r'], logins: more, traits: {} })).toContain(
      '257 logins',
    );
    const traits = { x: Array.from({ length: 40 }, () => 'y'.repeat(800)) };
    expect(certificateMisfit({ username: 'a', roles: ['r'], logins: ['a'], traits })).toContain(
      'a certificate holds 28000',
    );
    for (const bad of ['a\nb', 'a\u0000', 'a\u009b', '\ud800'])
      expect(certificateMisfit({ username: 'a', roles: ['r'], logins: [], traits: { x: [bad] } })).toContain(
        'cannot stand',
      );
    expect(
      certificateMisfit({ username: 'a', roles: ['r'], logins: [], traits: { x: ['y'.repeat(1_025)] } }),
    ).toContain('at most 1024');
  });
});

async function updateRole(role: RoleSpec): Promise<void> {
  const cause = { at: auth.world.now(), actor: 'admin', requestId: auth.world.uuid() };
  const command = { type: 'update-role', role } as const;
  const { position } = await execute(auth.log.state, roleRules, roleStream(role.name), command, cause);
  await auth.deps.views.reached(position ?? 0);
}

describe('a user whose certificate nothing can hold', () => {
  const make = (username: string, traits: Record<string, string[]>, roles = ['admin']) =>
    createUser(auth.deps, adminCall, { username, roles, traits, inviteTtlSeconds: 3_600 });

  it('is refused where its logins are set, those that its roles add included', async () => {
    await expect(make('many', { logins: loginNames(257) })).rejects.toMatchObject({
      code: 'bad_request',
      message: 'user "many" could not log in: it has 257 logins, and a certificate holds 256',
    });
    await addRole(auth, roleWith([...loginNames(200), '{{internal.logins}}'], 'two-hundred'));
    const own = { logins: loginNames(200).map((name) => `v${name}`) };
    await expect(make('many', own, ['two-hundred'])).rejects.toThrow('it has 400 logins');
    await make('fits', { logins: loginNames(256) });
  });

  it('spends no code, and is told why, when it is found at the login', async () => {
    await addRole(auth, roleWith(['alice'], 'grows'));
    const url = await addUser(auth, 'alice', 'correct horse', ['grows']);
    auth.world.advance(30 * second);
    const attempt = {
      username: 'alice',
      password: 'correct horse',
      otp: codeFor(url, auth.world.now()),
      ttlSeconds: 3_600,
    };
    await updateRole(roleWith(loginNames(300), 'grows'));
    const head = await auth.log.state.head();
    await expect(tryLogin(auth, attempt)).rejects.toMatchObject({
      code: 'access_denied',
      message: expect.stringContaining('it has 300 logins, and a certificate holds 256') as string,
    });
    expect(await auth.log.state.head()).toBe(head);
    // Who has not proved it is not told.
    await expect(tryLogin(auth, { ...attempt, password: 'wrong' })).rejects.toThrow('invalid username');
    await updateRole(roleWith(['alice'], 'grows'));
    await tryLogin(auth, attempt);
    const { events } = await searchAudit(auth.deps, adminCall, {
      from: '2000-01-01T00:00:00.000Z',
      to: '2100-01-01T00:00:00.000Z',
      types: ['user.login'],
      user: 'alice',
      limit: 10,
    });
    expect(events.map(({ success, error }) => [success, error ?? ''])).toEqual([
      [false, expect.stringContaining('it has 300 logins')],
      [false, 'the password is wrong'],
      [true, ''],
    ]);
  });
});
