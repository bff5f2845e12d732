import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { hour, plusMs } from '../../base/time.ts';
import { renewalKey } from '../../domain/login-renewal.ts';
import { serialOfX509, serialText } from '../../pki/serial.ts';
import { type Certificate, parseCertificate } from '../../pki/ssh-certificate.ts';
import { fromAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import { tlsIdentityOf } from '../../pki/tls-identity.ts';
import { renewableFromOf, userIdentityOf } from '../../pki/user-certificate.ts';
import { signerOf } from '../../views/authorities.ts';
import { rotateAuthorities } from '../authority/rotate-authorities.ts';
import { createLock } from '../lock/create-lock.ts';
import { deleteLock } from '../lock/delete-lock.ts';
import {
  addUser,
  adminCall,
  callOf,
  eventsOf,
  hostCall,
  newKeyLine,
  openTestAuth,
  type TestAuth,
  tryLogin,
} from '../testing.ts';
import { servedRemoteClusters } from '../resource/kinds/other-clusters.ts';
import { establishTrust } from '../trust/establish-trust.ts';
import { leafAuthorities } from '../trust/leaf-authorities.ts';
import { ownStatement } from '../trust/own-statement.ts';
import { tokenOf } from '../trust/trust-testing.ts';
import { createUser } from './create-user.ts';
import { deleteUser } from './delete-user.ts';
import { renewCertificates } from './renew-certificates.ts';

let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth({ secondFactor: 'off', settings: { [renewalKey]: '900s' } });
  await addUser(auth, 'alice', 'correct horse');
});
afterEach(() => auth.close());

const sshOf = ({ sshCertificate }: { readonly sshCertificate: string }): Certificate =>
  parseCertificate(fromAuthorizedKeyLine(sshCertificate));
interface Told {
  readonly event: string;
  readonly code: string;
}
/** Without the logins themselves. */
const told = async (type: string): Promise<readonly unknown[]> =>
  (await eventsOf(auth.log, 'audit'))
    .map(({ fact }) => (fact.data as { readonly event: Told }).event)
    .filter((one) => one.event === type && one.code !== 'TC000I');

const lock = (kind: Parameters<typeof createLock>[2]['kind'], target: string) =>
  createLock(auth.deps, adminCall, { kind, target, message: 'call the desk' });
const lockedAs = (title: string) => ({
  code: 'access_denied',
  message: expect.stringContaining(`lock targeting ${title} is in force: call the desk`) as string,
});
describe('a login that is renewed', () => {
  const login = () => tryLogin(auth, { username: 'alice', password: 'correct horse' });
  const signing = (): string => signerOf(auth.deps.views.authorities.state(), 'user').key.tlsCertificatePem;
  const callBy = (tlsCertificatePem: string, authorityPem = signing()) => {
    const certificate = new X509Certificate(tlsCertificatePem);
    const { lifeId = '', routeToCluster, loggedInAt, accessRequests = [] } = tlsIdentityOf(certificate);
    return callOf({
      kind: 'user',
      username: 'alice',
      roles: ['admin'],
      address: '10.0.0.9:1',
      certificate: {
        serial: serialText(serialOfX509(certificate)),
        validUntil: certificate.validToDate.toISOString(),
        authorityPem,
        ...{ lifeId, routeToCluster, loggedInAt, accessRequests },
      },
    });
  };
  const renew = (
    tlsCertificatePem: string,
    authorityPem = signing(),
    more: { routeToCluster?: string } = {},
  ) =>
    renewCertificates(auth.deps, callBy(tlsCertificatePem, authorityPem), {
      publicKey: newKeyLine(),
      ttlSeconds: 12 * 3600,
      format: 'standard',
      ...more,
    });
  const routeOf = (tlsCertificatePem: string): string =>
    tlsIdentityOf(new X509Certificate(tlsCertificatePem)).routeToCluster;

  it('is led to another cluster at any time, with the same end, and back to its own when that is gone', async () => {
    const leaf = await openTestAuth({ clusterName: 'leaf' });
    const token = await tokenOf(auth);
    await establishTrust(auth.deps, callOf({ kind: 'anyone', address: '192.0.2.50:4711' }), {
      ...{ token, clusterName: 'leaf', host: await ownStatement(leaf.deps, 'host') },
    });
    await leaf.close();
    const first = await login();
    await expect(
      renew(first.tlsCertificatePem, signing(), { routeToCluster: 'other' }),
    ).rejects.toMatchObject({
      code: 'not_found',
    });
    const led = await renew(first.tlsCertificatePem, signing(), { routeToCluster: 'leaf' });
    expect(routeOf(led.tlsCertificatePem)).toBe('leaf');
    expect(sshOf(led).validBefore).toBe(sshOf(first).validBefore);
    expect(led.hostSigners.map(({ clusterName }) => clusterName)).toEqual(['example', 'leaf']);
    const asked = callBy(led.tlsCertificatePem);
    expect(await leafAuthorities(auth.deps, asked, { clusterName: 'leaf' })).toEqual(led.hostSigners[1]);
    await expect(leafAuthorities(auth.deps, asked, { clusterName: 'other' })).rejects.toThrow('"other"');
    const removal = await servedRemoteClusters.remove?.(auth.deps, adminCall, 'leaf');
    await auth.deps.views.reached((await removal?.commit()) ?? 0);
    auth.world.advance(12 * hour - 600_000);
    expect(routeOf((await renew(led.tlsCertificatePem)).tlsCertificatePem)).toBe('');
  });

  it('says from when on it can be, keeps the time of its password, and is in the audit', async () => {
    const first = await login();
    const loggedInAt = auth.world.now();
    expect(renewableFromOf(sshOf(first))).toBe(plusMs(loggedInAt, 12 * hour - 900_000));
    await expect(renew(first.tlsCertificatePem)).rejects.toMatchObject({ code: 'access_denied' });
    auth.world.advance(12 * hour - 600_000);
    const second = await renew(first.tlsCertificatePem);
    const tls = new X509Certificate(second.tlsCertificatePem);
    expect(tlsIdentityOf(tls).loggedInAt).toBe(loggedInAt);
    expect(tls.validToDate.toISOString()).toBe(plusMs(auth.world.now(), 12 * hour));
    expect(await told('cert.create')).toMatchObject([
      { code: 'TC002I', user: 'alice', renews: serialText(sshOf(first).serial), logged_in: loggedInAt },
    ]);
  });
  it('whose key leaves is exchanged for one of the new key with the same end, long before it', async () => {
    const first = await login();
    const old = signing();
    const rotate = (phase: 'init' | 'update_clients') =>
      rotateAuthorities(auth.deps, adminCall, {
        ...{ types: ['user'], phase, mode: 'manual', gracePeriodMs: hour },
        ...{ force: true, dryRun: false, endSessions: false },
      });
    await rotate('init');
    await expect(renew(first.tlsCertificatePem, old)).rejects.toMatchObject({ code: 'access_denied' });
    await rotate('update_clients');
    const second = new X509Certificate((await renew(first.tlsCertificatePem, old)).tlsCertificatePem);
    expect(second.validTo).toBe(new X509Certificate(first.tlsCertificatePem).validTo);
    expect(second.verify(new X509Certificate(signing()).publicKey)).toBe(true);
    await expect(renew(second.toString())).rejects.toMatchObject({ code: 'access_denied' });
  });
  it('is refused to the certificate of a user of that name who was deleted', async () => {
    const first = await login();
    await deleteUser(auth.deps, adminCall, { username: 'alice' });
    await createUser(auth.deps, adminCall, {
      username: 'alice',
      roles: ['admin'],
      traits: { logins: ['root'] },
      inviteTtlSeconds: 3600,
    });
    auth.world.advance(12 * hour - 600_000);
    await expect(renew(first.tlsCertificatePem)).rejects.toMatchObject({ code: 'access_denied' });
  });
  it('is refused while its user, a role or the certificate is locked, before it is in the audit', async () => {
    const first = await login();
    auth.world.advance(12 * hour - 600_000);
    const serial = serialText(sshOf(first).serial);
    for (const [kind, name, title] of [
      ['user', 'alice', 'User:"alice"'],
      ['role', 'admin', 'Role:"admin"'],
      ['serial', serial, `Serial:"${serial}"`],
    ] as const) {
      const { lockId } = await lock(kind, name);
      await expect(renew(first.tlsCertificatePem)).rejects.toMatchObject(lockedAs(title));
      await deleteLock(auth.deps, adminCall, { lockId });
    }
    expect(await told('cert.create')).toEqual([]);
    await lock('login', 'root');
    const second = await renew(first.tlsCertificatePem);
    expect(userIdentityOf(sshOf(second)).principals).toEqual(['alice']);
  });
  it.each(['user', 'serial', 'login'] as const)(
    'is not signed when a lock by %s comes behind its record',
    async (kind) => {
      const first = await login();
      auth.world.advance(12 * hour - 600_000);
      const { ownAudit } = auth.deps;
      const record = ownAudit.record.bind(ownAudit);
      vi.spyOn(ownAudit, 'record').mockImplementationOnce(async (...told) => {
        const position = await record(...told);
        await lock(kind, { user: 'alice', login: 'root', serial: serialText(sshOf(first).serial) }[kind]);
        return position;
      });
      await expect(renew(first.tlsCertificatePem)).rejects.toMatchObject({
        code: 'access_denied',
        message: expect.stringMatching(/^lock targeting/) as string,
      });
    },
  );
  it('is refused to a machine', async () => {
    const asked = renewCertificates(auth.deps, hostCall('Node'), {
      publicKey: newKeyLine(),
      ttlSeconds: 60,
      format: 'standard',
    });
    await expect(asked).rejects.toMatchObject({ code: 'access_denied' });
  });
});
