import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuthClient } from '../../src/api/client.ts';
import * as authorities from '../../src/api/operations/authority.ts';
import * as lock from '../../src/api/operations/lock.ts';
import { createUser } from '../../src/api/operations/user.ts';
import {
  type AuthBench,
  clientOf,
  identityOf,
  type Material,
  operatorIdentity,
  startAuth,
} from '../harness/auth-bench.ts';

let auth: AuthBench;
const clients: AuthClient[] = [];
const client = (identity: Material): AuthClient => {
  const one = clientOf([auth.address()], identity);
  clients.push(one);
  return one;
};
beforeEach(async () => {
  auth = await startAuth();
});
afterEach(async () => {
  for (const one of clients.splice(0)) one.close();
  await auth.stop();
  await auth.log.close();
});

describe('an operator, by an identity', () => {
  it('locks, unlocks and looks at rotations, until its own serial is locked', async () => {
    const own = await identityOf(auth, 'Admin');
    const admin = client(own);
    await admin.call(createUser, {
      ...{ username: 'alice', roles: ['admin'], traits: { logins: ['root'] }, inviteTtlSeconds: 3600 },
    });
    const material = await operatorIdentity(admin, 'alice', own.tlsCasPem);
    const operator = client(material);
    const { lockId } = await operator.call(lock.createLock, { kind: 'login', target: 'root', message: '' });
    const { locks } = await operator.call(lock.listLocks, {});
    expect(locks).toMatchObject([{ lockId, by: 'user:alice' }]);
    await operator.call(lock.deleteLock, { lockId });
    const { rotations } = await operator.call(authorities.readRotations, {});
    expect(rotations.map(({ phase }) => phase)).toEqual(['standby', 'standby']);
    const planned = operator.call(authorities.rotateAuthorities, {
      ...{ types: ['host'], phase: 'init', gracePeriodMs: 3_600_000, dryRun: true },
    });
    expect(await planned).toMatchObject({ status: 'dry_run' });
    const serial = BigInt(`0x${new X509Certificate(material.tlsCertificatePem).serialNumber}`).toString();
    await admin.call(lock.createLock, { kind: 'serial', target: serial, message: 'laptop lost' });
    const why = `lock targeting Serial:"${serial}" is in force: laptop lost`;
    await expect(operator.call(lock.listLocks, {})).rejects.toMatchObject({ message: why });
    await expect(client(material).call(lock.listLocks, {})).rejects.toMatchObject({ message: why });
  });
});
