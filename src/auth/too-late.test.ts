import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exportPhrase } from '../api/operations/authority-keys.ts';
import type { Caller } from '../api/operation.ts';
import type { Call } from '../api/server-deps.ts';
import { CodedError } from '../base/errors.ts';
import { hour } from '../base/time.ts';
import { renewalKey } from '../domain/login-renewal.ts';
import { signerOf } from '../views/authorities.ts';
import { findUser } from '../views/users.ts';
import { exportAuthorityKeys } from './authority/export-authority-keys.ts';
import { rotateAuthorities } from './authority/rotate-authorities.ts';
import { createLock } from './lock/create-lock.ts';
import { recoverLog } from './log/recover-log.ts';
import { addUser, adminCall, callOf, eventsOf, newKeyLine, openTestAuth, type TestAuth } from './testing.ts';
import { renewCertificates } from './user/renew-certificates.ts';

/*
 * Whoever called has been told that nothing was begun: from then on nothing may be. Use cases of other kinds
 * hold that by `termsOf`, which every append asks.
 */

let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth({ secondFactor: 'off', settings: { [renewalKey]: '900s' } });
  await addUser(auth, 'alice', 'correct horse');
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});

const tooLate = new CodedError('unavailable', 'too late');
const late = (call: Call): Call => ({
  ...call,
  deadline: {
    begin: () => {
      throw tooLate;
    },
    isOver: () => true,
  },
});

function alice(): Caller {
  const entry = findUser(auth.deps.views.users.state(), 'alice');
  const { tlsCertificatePem } = signerOf(auth.deps.views.authorities.state(), 'user').key;
  const at = auth.world.now();
  return {
    ...{ kind: 'user', username: 'alice', roles: ['admin'], address: '10.0.0.9:1' },
    certificate: {
      ...{ serial: '7', lifeId: entry?.life.id ?? '', routeToCluster: '', authorityPem: tlsCertificatePem },
      loggedInAt: at,
      accessRequests: [],
      validUntil: new Date(Date.parse(at) + hour / 6).toISOString(),
    },
  };
}

const acts: Readonly<Record<string, (deps: TestAuth['deps']) => Promise<unknown>>> = {
  'recovering the log': (deps) => recoverLog(deps, late(adminCall), { step: 'go on' }),
  'renewing a login': (deps) =>
    renewCertificates(deps, late(callOf(alice())), {
      ...{ publicKey: newKeyLine(), ttlSeconds: 3600, format: 'standard' },
    }),
  'exporting private keys': (deps) =>
    exportAuthorityKeys(deps, late(adminCall), { type: 'user', confirmation: exportPhrase('example') }),
  'a lock': (deps) => createLock(deps, late(adminCall), { kind: 'user', target: 'alice', message: '' }),
  'a step of a rotation': (deps) =>
    rotateAuthorities(deps, late(adminCall), {
      ...{ types: ['host'], phase: 'init', mode: 'manual', gracePeriodMs: hour },
      ...{ force: false, dryRun: false, endSessions: false },
    }),
};

describe('what nobody waits for any more', () => {
  it.each(Object.entries(acts))('%s is not begun', async (_name, act) => {
    const written = async (): Promise<number> =>
      (await eventsOf(auth.log, 'state')).length + (await eventsOf(auth.log, 'audit')).length;
    const before = await written();
    await expect(act(auth.deps)).rejects.toBe(tooLate);
    expect(await written()).toBe(before);
  });
});
