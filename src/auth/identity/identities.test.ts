import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { z } from 'zod';
import type {
  signHostIdentity as hostRow,
  signUserIdentity as userRow,
} from '../../api/operations/identity.ts';
import { hour, plusMs } from '../../base/time.ts';
import { serialOfX509, serialText } from '../../pki/serial.ts';
import { type Certificate, FOREVER, parseCertificate } from '../../pki/ssh-certificate.ts';
import { fingerprint, fromAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import { tlsIdentityOf } from '../../pki/tls-identity.ts';
import { renewableFromOf, userIdentityOf } from '../../pki/user-certificate.ts';
import { isToAdminister } from '../../views/identities.ts';
import { addRole, addUser, adminCall, callOf, newKeyLine, openTestAuth, type TestAuth } from '../testing.ts';
import { createLock } from '../lock/create-lock.ts';
import { deleteUser } from '../user/delete-user.ts';
import { deleteLock } from '../lock/delete-lock.ts';
import { heartbeat } from '../host/heartbeat.ts';
import { listIdentities } from './list-identities.ts';
import { signHostIdentity } from './sign-host-identity.ts';
import { signUserIdentity } from './sign-user-identity.ts';

let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth({ secondFactor: 'off' });
  await addUser(auth, 'alice', 'correct horse');
});
afterEach(() => auth.close());

const signUser = (wish: Partial<z.output<(typeof userRow)['input']>> = {}) =>
  signUserIdentity(auth.deps, adminCall, {
    username: 'alice',
    publicKey: newKeyLine(),
    ttlSeconds: 12 * 3600,
    format: 'file',
    certificateFormat: 'standard',
    administers: true,
    force: false,
    ...wish,
  });
const signHost = (wish: Partial<z.output<(typeof hostRow)['input']>> = {}) =>
  signHostIdentity(auth.deps, adminCall, {
    names: ['db1.example.com', 'db1'],
    publicKey: newKeyLine(),
    ttlSeconds: 3600,
    force: false,
    ...wish,
  });
const sshOf = ({ sshCertificate }: { readonly sshCertificate: string }): Certificate =>
  parseCertificate(fromAuthorizedKeyLine(sshCertificate));
const listed = async (all = false) => (await listIdentities(auth.deps, adminCall, { all })).identities;

const lock = (kind: Parameters<typeof createLock>[2]['kind'], target: string) =>
  createLock(auth.deps, adminCall, { kind, target, message: 'call the desk' });
const lockedAs = (title: string) => ({
  code: 'access_denied',
  message: expect.stringContaining(`lock targeting ${title} is in force: call the desk`) as string,
});
/** A lock that comes between the append and the signature. */
const lockBehindAppend = (...target: Parameters<typeof lock>): void => {
  const { views } = auth.deps;
  const reached = views.reached.bind(views);
  vi.spyOn(views, 'reached').mockImplementationOnce(async (position) => {
    await reached(position);
    await lock(...target);
  });
};

describe('an identity of a user', () => {
  it('has one serial in both certificates, and is on the log by it', async () => {
    const signed = await signUser();
    const ssh = sshOf(signed);
    const tls = new X509Certificate(signed.tlsCertificatePem ?? '');
    expect([serialText(ssh.serial), serialText(serialOfX509(tls))]).toEqual([signed.serial, signed.serial]);
    expect(userIdentityOf(ssh)).toMatchObject({ username: 'alice', principals: ['alice', 'root'] });
    expect(await listed()).toMatchObject([
      {
        serial: signed.serial,
        holder: { kind: 'user', username: 'alice', administers: true },
        key: fingerprint(ssh.key.blob),
        signedBy: 'admin',
        forced: false,
      },
    ]);
  });
  it('says nothing of a password, so that it is never renewed', async () => {
    const signed = await signUser();
    expect(tlsIdentityOf(new X509Certificate(signed.tlsCertificatePem ?? '')).loggedInAt).toBeUndefined();
    expect(renewableFromOf(sshOf(signed))).toBeUndefined();
  });
  it('ends when the strictest role says, and with force when it was asked to', async () => {
    const capped = await signUser({ ttlSeconds: 1000 * 3600 });
    expect(capped.ttlSeconds).toBe(30 * 3600);
    const forced = await signUser({ ttlSeconds: 1000 * 3600, force: true });
    expect(forced.expiresAt).toBe(plusMs(auth.world.now(), 1000 * hour));
    expect(userIdentityOf(sshOf(forced)).principals).toEqual(['alice', 'root']);
    // Force that changes nothing is none.
    await signUser({ ttlSeconds: 3600, force: true });
    expect((await listed()).map(({ forced: isForced }) => isForced)).toEqual([false, false, true]);
  });
  it('administers only with the role admin, a TLS certificate, and who may', async () => {
    await addRole(auth, { name: 'dev', ...plainRole });
    await addUser(auth, 'bob', 'correct horse', ['dev']);
    expect((await signUser()).administers).toBe(true);
    expect((await signUser({ administers: false })).administers).toBe(false);
    expect((await signUser({ username: 'bob' })).administers).toBe(false);
    const openssh = await signUser({ format: 'openssh' });
    expect([openssh.administers, openssh.tlsCertificatePem]).toEqual([false, undefined]);
  });
  it('administers in the name and the life that it was signed for, and by no other serial', async () => {
    const { serial } = await signUser();
    const entry = (await listed())[0];
    const lifeId = entry?.holder.kind === 'user' ? entry.holder.lifeId : expect.unreachable();
    const is = (other: Partial<Parameters<typeof isToAdminister>[1]> = {}): boolean =>
      isToAdminister(auth.deps.views.identities.state(), { serial, username: 'alice', lifeId, ...other });
    expect([is(), is({ serial: '1' }), is({ username: 'bob' }), is({ lifeId: 'other' })]).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });
  it.each([
    ['user', 'alice', 'User:"alice"'],
    ['role', 'admin', 'Role:"admin"'],
  ] as const)('is refused while the %s is locked, and force changes nothing', async (kind, name, title) => {
    await lock(kind, name);
    await expect(signUser()).rejects.toMatchObject(lockedAs(title));
    const forced = signUser({ ttlSeconds: 1000 * 3600, force: true });
    await expect(forced).rejects.toMatchObject(lockedAs(title));
    expect(await listed(true)).toEqual([]);
  });
  it('goes without logins that are locked, with force as well', async () => {
    await lock('login', 'root');
    for (const force of [false, true]) {
      const signed = await signUser({ ttlSeconds: 1000 * 3600, force });
      expect(userIdentityOf(sshOf(signed)).principals).toEqual(['alice']);
    }
    expect((await listed()).map(({ holder }) => holder)).toMatchObject([
      { logins: ['alice'] },
      { logins: ['alice'] },
    ]);
  });
  it.each([
    ['user', 'alice', 'User:"alice"'],
    ['login', 'root', 'Login:"root"'],
  ] as const)('is not signed when a lock of its %s comes behind its append', async (kind, name, title) => {
    lockBehindAppend(kind, name);
    await expect(signUser()).rejects.toMatchObject(lockedAs(title));
  });
  it('is refused for a user who is not there', async () => {
    await deleteUser(auth.deps, adminCall, { username: 'alice' });
    await expect(signUser()).rejects.toMatchObject({ code: 'not_found' });
    expect(await listed(true)).toEqual([]);
  });
  it('is listed until it ends, and with all after that', async () => {
    await signUser({ ttlSeconds: 3600 });
    auth.world.advance(3600 * 1000);
    expect([(await listed()).length, (await listed(true)).length]).toEqual([0, 1]);
  });
});

describe('an identity of an SSH server', () => {
  it('has the names that were given, and an end', async () => {
    const ssh = sshOf(await signHost());
    expect(ssh).toMatchObject({ kind: 'host', principals: ['db1.example.com', 'db1'] });
    expect(ssh.validBefore < FOREVER).toBe(true);
    expect(await listed()).toMatchObject([{ holder: { kind: 'host', names: ['db1.example.com', 'db1'] } }]);
  });
  it('ends when the setting for hosts says, but for force', async () => {
    const wanted = 1000 * 24 * 3600;
    expect((await signHost({ ttlSeconds: wanted })).ttlSeconds).toBe(90 * 24 * 3600);
    expect((await signHost({ ttlSeconds: wanted, force: true })).ttlSeconds).toBe(wanted);
  });
  it.each(['db1', 'DB1.example.com', 'db1.example'])(
    'is refused while a node %s is locked, and force changes nothing',
    async (name) => {
      await lock('node', name);
      const title = `Node:${JSON.stringify(name.toLowerCase())}`;
      const names = ['db1.example.com', 'db1', 'db1.example'];
      await expect(signHost({ names, force: true })).rejects.toMatchObject(lockedAs(title));
      expect(await listed(true)).toEqual([]);
    },
  );
  it('is refused in the name of a node that is locked by its id or by the name of its own', async () => {
    const hostId = '00000000-0000-4000-8000-0000000b0001';
    const hostCaller = { kind: 'host', hostId, role: 'Node', address: '10.9.1.7:4711' } as const;
    await heartbeat(auth.deps, callOf(hostCaller), {
      host: {
        ...{ hostId, nodename: 'web3', role: 'Node', address: '10.9.1.7:3022', version: '4.5.0' },
        ...{ publicAddress: '', sshPublicAddress: '', labels: {} },
      },
      ttlSeconds: 60,
    });
    const sign = (name: string) => signHost({ names: [name], force: true });
    await sign('web3.example');
    const { lockId } = await lock('node', hostId);
    await expect(sign('web3.example')).rejects.toMatchObject(lockedAs(`Node:"${hostId}"`));
    await deleteLock(auth.deps, adminCall, { lockId });
    await lock('node', 'web3');
    await expect(sign('web3.example')).rejects.toMatchObject(lockedAs('Node:"web3"'));
    await sign('other');
  });
  it('is refused for a name of a host of the cluster, but for force, which is on the log', async () => {
    const hostId = '00000000-0000-4000-8000-0000000b0001';
    const hostCaller = { kind: 'host', hostId, role: 'Node', address: '10.9.1.7:4711' } as const;
    await heartbeat(auth.deps, callOf(hostCaller), {
      host: {
        ...{ hostId, nodename: 'web3', role: 'Node', address: '10.9.1.7:3022', version: '4.5.0' },
        ...{ publicAddress: '', sshPublicAddress: '', labels: {} },
      },
      ttlSeconds: 60,
    });
    for (const names of [['web3'], ['db1', 'web3'], ['web3', 'localhost']])
      await expect(signHost({ names })).rejects.toMatchObject({
        code: 'access_denied',
        message: expect.stringContaining('(--force to sign it all the same)') as string,
      });
    expect(await listed(true)).toEqual([]);
    await signHost({ names: ['web3', 'web3'], force: true });
    // Nobody is called by what every machine calls itself; and force that changes nothing is none.
    await signHost({ names: ['db1', 'localhost', '127.0.0.1', '::1'] });
    await signHost({ force: true });
    const forced = (await listed()).map(({ holder, forced: isForced }) => [
      holder.kind === 'host' && holder.names.join(' '),
      isForced,
    ]);
    expect(forced.sort()).toEqual([
      ['db1 localhost 127.0.0.1 ::1', false],
      ['db1.example.com db1', false],
      ['web3', true],
    ]);
    await signHost({ ttlSeconds: 91 * 24 * 3600, force: true });
    expect((await listed()).at(-1)).toMatchObject({ forced: true });
  });
  it('is not signed when a lock of its name comes behind its append', async () => {
    lockBehindAppend('node', 'db1');
    await expect(signHost()).rejects.toMatchObject(lockedAs('Node:"db1"'));
  });
  it.each(['*.example.com', 'teleport.cluster.local', 'a b', '00000000-0000-4000-8000-0000000000b1'])(
    'is refused for %j',
    async (name) => {
      await expect(signHost({ names: ['db1', name], force: true })).rejects.toMatchObject({
        code: 'bad_request',
      });
      expect(await listed(true)).toEqual([]);
    },
  );
});

const plainRole = {
  options: {
    maxSessionTtlSeconds: 3600,
    forwardAgent: false,
    portForwarding: true,
    disconnectExpiredCert: false,
    clientIdleTimeoutSeconds: 0,
    maxSessions: 0,
  },
  allow: { logins: ['root'], nodeLabels: { '*': ['*'] } },
  deny: { logins: [], nodeLabels: {} },
};
