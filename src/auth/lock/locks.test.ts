import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Caller } from '../../api/operation.ts';
import { hour } from '../../base/time.ts';
import { serialOfX509 } from '../../pki/serial.ts';
import { hostIdentityOf } from '../../pki/host-certificate.ts';
import { parseCertificate } from '../../pki/ssh-certificate.ts';
import { fingerprint, fromAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import { searchAudit } from '../audit/search-audit.ts';
import { heartbeat } from '../host/heartbeat.ts';
import { joinHost } from '../host/join-host.ts';
import { renewHost } from '../host/renew-host.ts';
import {
  addUser,
  adminCall,
  callOf,
  hostCall,
  eventsOf,
  newKeyLine,
  openTestAuth,
  type TestAuth,
  tryLogin,
} from '../testing.ts';
import { createToken } from '../token/create-token.ts';
import { createLock } from './create-lock.ts';
import { deleteLock } from './delete-lock.ts';
import { listLocks } from './list-locks.ts';

let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth({ secondFactor: 'off' });
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});

type Kind = Parameters<typeof createLock>[2]['kind'];
const lock = (kind: Kind, target: string, ttlSeconds?: number) =>
  createLock(auth.deps, adminCall, {
    ...{ kind, target, message: 'call the desk' },
    ...(ttlSeconds === undefined ? {} : { ttlSeconds }),
  });
const unlock = (lockId: string) => deleteLock(auth.deps, adminCall, { lockId });
const ids = async () => (await listLocks(auth.deps, adminCall, {})).locks.map(({ lockId }) => lockId);
const logIn = (password = 'correct horse') => tryLogin(auth, { username: 'ann', password });
const told = (title: string) => ({
  code: 'access_denied',
  message: expect.stringContaining(`lock targeting ${title} is in force: call the desk`) as string,
});

describe('locks', () => {
  it('are listed until they are ended or expire, with who locked', async () => {
    const [one, two] = [await lock('user', 'ann'), await lock('role', 'admin', 60)];
    const { locks } = await listLocks(auth.deps, adminCall, {});
    expect(locks).toMatchObject([
      { lockId: one.lockId, target: { kind: 'user', name: 'ann' }, message: 'call the desk', by: 'admin' },
      { lockId: two.lockId, target: { kind: 'role', name: 'admin' }, expiresAt: two.expiresAt },
    ]);
    auth.world.advance(60_000);
    expect(await ids()).toEqual([one.lockId]);
    await unlock(one.lockId);
    expect(await ids()).toEqual([]);
    await expect(unlock(one.lockId)).rejects.toMatchObject({ code: 'not_found' });
    await expect(unlock('../x')).rejects.toMatchObject({ code: 'not_found' });
  });
  it('of a name that nobody has are made, and reported as such', async () => {
    expect((await lock('user', 'nobody')).known).toBe(false);
    expect((await lock('role', 'nothing')).known).toBe(false);
    expect((await lock('node', 'nowhere')).known).toBe(false);
    expect((await lock('role', 'admin')).known).toBe(true);
    expect((await lock('login', 'nobody')).known).toBe(true);
  });
  it('are reported as not holding on hosts of a release that knows of none', async () => {
    const hostId = '00000000-0000-4000-8000-0000000000c7';
    const announced = {
      ...{ hostId, role: 'Node' as const, nodename: 'n7', address: '10.0.0.1:3022', labels: {} },
      ...{ publicAddress: '', sshPublicAddress: '', version: '4.5.0' },
    };
    const hear = (understands: number) =>
      heartbeat(auth.deps, hostCall('Node', hostId), {
        host: { ...announced, understands },
        ttlSeconds: 600,
      });
    await hear(1);
    expect((await lock('user', 'ann')).unaware).toEqual(['n7 (Node 4.5.0)']);
    await hear(2);
    expect((await lock('user', 'bob')).unaware).toEqual([]);
  });
  it('that expired a day ago leave the log with the next one, so that no reader keeps them', async () => {
    await lock('user', 'ann', 60);
    auth.world.advance(24 * hour);
    await lock('user', 'bob', 60);
    expect(auth.deps.views.locks.state().known.size).toBe(2);
    auth.world.advance(120_000);
    await lock('user', 'eve');
    expect(auth.deps.views.locks.state().known.size).toBe(2);
  });
  it('that expired long ago are forgotten a few at a time', async () => {
    for (let n = 0; n < 18; n++)
      await lock('session', `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`, 1);
    auth.world.advance(25 * hour);
    const known = () => auth.deps.views.locks.state().known.size;
    await lock('user', 'ann');
    expect(known()).toBe(18 - 16 + 1);
    await lock('user', 'bob');
    expect(known()).toBe(2);
  });
  it('are of something that is known where there is such a user, or a node of that id or name', async () => {
    await addUser(auth, 'ann', 'correct horse');
    const hostId = '00000000-0000-4000-8000-0000000000c7';
    await heartbeat(auth.deps, hostCall('Node', hostId), {
      host: {
        ...{ hostId, role: 'Node', nodename: 'Web-7', address: '10.0.0.1:3022', labels: {} },
        ...{ publicAddress: '', sshPublicAddress: '', version: '4.6.0', understands: 2 },
      },
      ttlSeconds: 600,
    });
    const known = async (...[kind, name]: [Kind, string]): Promise<boolean> => (await lock(kind, name)).known;
    expect([await known('user', 'ann'), await known('user', 'Ann')]).toEqual([true, false]);
    expect([await known('node', 'web-7'), await known('node', hostId.toUpperCase())]).toEqual([true, true]);
    expect(await known('node', 'web-8')).toBe(false);
  });
  it('are told to the audit, with their end', async () => {
    const { lockId } = await lock('user', 'ann');
    await unlock(lockId);
    const span = { from: '2000-01-01T00:00:00.000Z', to: '2999-01-01T00:00:00.000Z' };
    const types = ['lock.created', 'lock.deleted'];
    const { events } = await searchAudit(auth.deps, adminCall, { ...span, types, user: '', limit: 10 });
    expect(events.map(({ code, name }) => [code, name])).toEqual(
      expect.arrayContaining([
        ['TLK02I', lockId],
        ['TLK03I', lockId],
      ]),
    );
  });
});

describe('a person who is locked', () => {
  beforeEach(async () => {
    await addUser(auth, 'ann', 'correct horse');
  });
  it.each([
    ['user', 'ann', 'User:"ann"'],
    ['role', 'admin', 'Role:"admin"'],
  ] as const)(
    'by %s gets no certificate, and learns why by the right password alone',
    async (kind, name, title) => {
      const { lockId } = await lock(kind, name);
      await expect(logIn()).rejects.toMatchObject(told(title));
      await expect(logIn('wrong')).rejects.toMatchObject({ message: 'invalid username or password' });
      const made = (await eventsOf(auth.log, 'state')).filter(({ fact }) => fact.type === 'user.logged_in');
      expect(made).toEqual([]);
      await unlock(lockId);
      await logIn();
    },
  );
  it('by login gets certificates for the others', async () => {
    await lock('login', 'root');
    const { sshCertificate } = await logIn();
    expect(parseCertificate(fromAuthorizedKeyLine(sshCertificate)).principals).toEqual(['ann']);
    await lock('login', 'ann');
    await expect(logIn()).rejects.toMatchObject({ message: 'each login of user "ann" is locked' });
  });
  it('while the password is checked gets none either', async () => {
    const login = logIn();
    const locking = lock('user', 'ann');
    const [outcome] = await Promise.allSettled([login, locking]);
    const facts = (await eventsOf(auth.log, 'state')).map(({ fact }) => fact.type);
    const lockedFirst =
      !facts.includes('user.logged_in') || facts.indexOf('lock.created') < facts.indexOf('user.logged_in');
    expect(outcome.status).toBe(lockedFirst ? 'rejected' : 'fulfilled');
  });
  it('can be known by the serial of both certificates, which the log has', async () => {
    const { sshCertificate, tlsCertificatePem } = await logIn();
    const { serial } = parseCertificate(fromAuthorizedKeyLine(sshCertificate));
    expect(serial).toBeGreaterThan(2n ** 62n);
    expect(serialOfX509(new X509Certificate(tlsCertificatePem))).toBe(serial);
    const fact = (await eventsOf(auth.log, 'attempts')).find(
      ({ fact: { type } }) => type === 'user.logged_in',
    );
    expect(fact?.fact.data).toMatchObject({ certificate: { serial: serial.toString() } });
  });
});

describe('a machine that is locked', () => {
  const hostId = '00000000-0000-4000-8000-0000000b0001';
  const address = '10.9.1.7:4711';
  type Certificates = Awaited<ReturnType<typeof joinHost>>;
  const join = async (nodename = 'n1'): Promise<Certificates> => {
    const { token } = await createToken(auth.deps, adminCall, { roles: ['Node'], ttlSeconds: 1800 });
    return joinHost(auth.deps, callOf({ kind: 'anyone', address }), {
      ...{ hostId, nodename, role: 'Node', token, publicKey: newKeyLine(), additionalPrincipals: [] },
      sentAt: auth.world.now(),
    });
  };
  const callerOf = (certificates: Certificates): Caller => {
    const ssh = parseCertificate(fromAuthorizedKeyLine(certificates.sshCertificate));
    const tls = new X509Certificate(certificates.tlsCertificatePem);
    expect([hostIdentityOf(ssh).role, ssh.serial]).toEqual(['Node', serialOfX509(tls)]);
    const certified = { certifiedNames: ['n1'], key: fingerprint(ssh.key.blob), serial: ssh.serial };
    return { kind: 'host', hostId, role: 'Node', address, ...certified };
  };
  const beat = (caller: Caller, nodename = 'n1') =>
    heartbeat(auth.deps, callOf(caller), {
      host: {
        ...{
          hostId,
          nodename,
          role: 'Node',
          address: '10.9.1.7:3022',
          publicAddress: '',
          sshPublicAddress: '',
        },
        ...{ labels: {}, version: '4.5.0' },
      },
      ttlSeconds: 60,
    });
  const renew = (caller: Caller) =>
    renewHost(auth.deps, callOf(caller), {
      ...{ nodename: 'n1', publicKey: newKeyLine(), additionalPrincipals: [], sentAt: auth.world.now() },
    });

  it.each([
    ['node', () => hostId, `Node:"${hostId}"`],
    ['node', () => 'N1', 'Node:"n1"'],
    ['serial', (caller: Caller) => String((caller as { serial?: bigint }).serial), 'Serial:'],
  ] as const)('by %s announces itself and renews nothing', async (kind, nameOf, title) => {
    const caller = callerOf(await join());
    await beat(caller);
    const { lockId } = await lock(kind, nameOf(caller));
    const refused = { code: 'access_denied', message: expect.stringContaining(title) as string };
    await expect(beat(caller)).rejects.toMatchObject(refused);
    await expect(renew(caller)).rejects.toMatchObject(refused);
    if (kind === 'node') await expect(join()).rejects.toMatchObject(refused);
    await unlock(lockId);
    await beat(caller);
    await renew(caller);
  });
});
