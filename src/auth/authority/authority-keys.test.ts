import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exportPhrase } from '../../api/operations/authority-keys.ts';
import { hour, plusMs } from '../../base/time.ts';
import { decodeOpensshPrivateKey } from '../../pki/openssh-private-key.ts';
import { fingerprint, publicKeyOf } from '../../pki/ssh-key.ts';
import { adminCall, eventsOf, openTestAuth, type TestAuth } from '../testing.ts';
import { exportAuthorityKeys } from './export-authority-keys.ts';
import { listAuthorityKeys } from './list-authority-keys.ts';
import { rotateAuthorities } from './rotate-authorities.ts';

let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth({ secondFactor: 'off' });
});
afterEach(() => auth.close());

const told = async (type: string): Promise<readonly unknown[]> =>
  (await eventsOf(auth.log, 'audit'))
    .map(({ fact }) => (fact.data as { readonly event: { readonly event: string } }).event)
    .filter(({ event }) => event === type);

describe('keys of the authorities', () => {
  it('are listed with which of them signs', async () => {
    const { keys, clusterName } = await listAuthorityKeys(auth.deps, adminCall, {});
    expect(clusterName).toBe('example');
    expect(keys.map(({ authority, status }) => [authority, status])).toEqual([
      ['user', 'signs'],
      ['host', 'signs'],
    ]);
  });
  it('that a rotation replaces are listed with when it is expected to end, and its phase', async () => {
    const startedAt = auth.world.now();
    await rotateAuthorities(auth.deps, adminCall, {
      ...{ types: ['user'], phase: 'init', mode: 'manual', gracePeriodMs: hour },
      ...{ force: false, dryRun: false, endSessions: false },
    });
    const { keys } = await listAuthorityKeys(auth.deps, adminCall, {});
    expect(keys.map(({ authority, status, leaving }) => [authority, status, leaving])).toEqual([
      ['user', 'signs', { expectedAt: plusMs(startedAt, hour), phase: 'init' }],
      ['user', 'trusted', undefined],
      ['host', 'signs', undefined],
    ]);
  });
  it('are given for the phrase alone, and the audit has it', async () => {
    const ask = (confirmation: string) =>
      exportAuthorityKeys(auth.deps, adminCall, { type: 'user', confirmation });
    await expect(ask('yes')).rejects.toMatchObject({ code: 'bad_request' });
    expect(await told('cert_authority.export')).toEqual([]);
    const [given] = (await ask(exportPhrase('example'))).keys;
    const key = decodeOpensshPrivateKey(given?.sshPrivateKeyPem ?? '');
    expect(fingerprint(publicKeyOf(key).blob)).toBe(given?.fingerprint);
    expect(await told('cert_authority.export')).toMatchObject([
      { code: 'TCA100W', type: 'user', user: 'admin', keys: [given?.fingerprint] },
    ]);
  });
});
