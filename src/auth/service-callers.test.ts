import { describe, expect, it, vi } from 'vitest';
import { listHosts } from '../api/operations/host.ts';
import { listUsers } from '../api/operations/user.ts';
import { fakeWorld } from '../api/testing.ts';
import { marksOf } from '../views/authorities.ts';
import { memoryLog } from '../log/memory-log.ts';
import { generateEd25519, privateKeyPem } from '../pki/key-pair.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../pki/ssh-key.ts';
import type { PresenceFact } from '../domain/presence.ts';
import { rotateAuthorities } from './authority/rotate-authorities.ts';
import { signUserIdentity } from './identity/sign-user-identity.ts';
import { createLock } from './lock/create-lock.ts';
import { begin, clientFor, hostId } from './service-testing.ts';
import { addUser, adminCall, authHostId, eventsOf, openTestAuth } from './testing.ts';

/** An auth service, and another one on the same log by which the test acts. */
async function beginWithOther() {
  const world = fakeWorld(new Date().toISOString());
  const log = memoryLog({ world });
  const other = await openTestAuth({ world, log, hostId: '00000000-0000-4000-8000-00000000000b' });
  return { world, log, other, service: () => begin({ world, log }) };
}

describe('who calls an auth service', () => {
  it('administers by an identity that was signed for that, and by no other, until its user is locked', async () => {
    const { other, service } = await beginWithOther();
    await addUser(other, 'alice', 'correct horse');
    const key = generateEd25519();
    const signed = async (administers: boolean): Promise<string> => {
      const { tlsCertificatePem } = await signUserIdentity(other.deps, adminCall, {
        ...{
          username: 'alice',
          ttlSeconds: 3600,
          format: 'tls',
          certificateFormat: 'standard',
          force: false,
        },
        ...{ publicKey: toAuthorizedKeyLine(publicKeyOf(key).blob), administers },
      });
      return tlsCertificatePem ?? '';
    };
    const certificates = [await signed(true), await signed(false)];
    const one = await service();
    const wanted = { hostId, nodename: 'one', role: 'Proxy', additionalPrincipals: [] } as const;
    const { tlsCasPem } = await one.service.issueHostIdentity(wanted);
    const [operator, person] = certificates.map((tlsCertificatePem) =>
      clientFor(one, { privateKeyPem: privateKeyPem(key), tlsCertificatePem, tlsCasPem }),
    );
    if (operator === undefined || person === undefined) return expect.unreachable();
    expect((await operator.call(listUsers, {})).users).toHaveLength(1);
    await expect(person.call(listUsers, {})).rejects.toThrow(
      'access denied to perform action "list" on "user"',
    );
    expect((await person.call(listHosts, { role: 'Auth', labels: {} })).hosts).toHaveLength(1);
    await createLock(other.deps, adminCall, { kind: 'user', target: 'alice', message: 'call the desk' });
    for (const client of [operator, person])
      await expect(client.call(listHosts, { role: 'Auth', labels: {} })).rejects.toMatchObject({
        code: 'access_denied',
        message: expect.stringContaining('lock targeting User:"alice" is in force: call the desk') as string,
      });
    await one.running.stop(0);
    await other.close();
  });
});

describe('an auth service while an authority rotates', () => {
  it('reports what it has adopted as soon as it shows it', async () => {
    const { other, log, service } = await beginWithOther();
    const { running } = await service();
    await rotateAuthorities(other.deps, adminCall, {
      ...{ types: ['host'], phase: 'init', mode: 'manual', gracePeriodMs: 3_600_000 },
      ...{ force: true, dryRun: false, endSessions: false },
    });
    const marks = marksOf(other.deps.views.authorities.state());
    expect(marks[1]).toMatch(/:init$/);
    await vi.waitFor(
      async () => {
        const reported = (await eventsOf(log, 'presence'))
          .flatMap(({ fact }) => (fact.type === 'hosts.renewed' ? (fact as PresenceFact).data.hosts : []))
          .filter((host) => host.hostId === authHostId);
        expect(reported.at(-1)?.adopted).toEqual(marks);
      },
      { timeout: 20_000 },
    );
    await running.stop(0);
    await other.close();
  });
});
