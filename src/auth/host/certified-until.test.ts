import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { second } from '../../base/time.ts';
import { rotateAuthorities } from '../authority/rotate-authorities.ts';
import { adminCall, callOf, hostCall, newKeyLine, openTestAuth, type TestAuth } from '../testing.ts';
import { heartbeat } from './heartbeat.ts';
import { joinHost } from './join-host.ts';

const token = 'a-static-token-0001';
let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth({ staticTokens: [{ roles: ['Node'], token }] });
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});

const hostId = '00000000-0000-4000-8000-0000000b0001';
/** With a key of its own each time. */
const join = () =>
  joinHost(auth.deps, callOf({ kind: 'anyone', address: '10.9.1.7:4711' }), {
    ...{ hostId, nodename: 'n1', role: 'Node', token, publicKey: newKeyLine(), additionalPrincipals: [] },
    sentAt: auth.world.now(),
  });

describe('a machine whose key was replaced with all others', () => {
  const replace = () =>
    rotateAuthorities(auth.deps, adminCall, {
      ...{ types: ['host'], phase: 'init', mode: 'manual', gracePeriodMs: 0 },
      ...{ force: true, dryRun: false, endSessions: false },
    });
  const alive = () =>
    heartbeat(auth.deps, hostCall('Node', hostId), {
      host: {
        ...{ hostId, role: 'Node', nodename: 'n1', address: '10.9.1.7:3022' },
        ...{ publicAddress: '', sshPublicAddress: '', labels: {}, version: '4.6.0' },
      },
      ttlSeconds: 600,
    });

  it('comes back under its id at once, though it was alive a moment ago', async () => {
    await join();
    await alive();
    await expect(join()).rejects.toThrow('counts as alive until');
    await replace();
    await join();
  });

  it('and keeps its id from others once it is heard of again', async () => {
    await join();
    await replace();
    auth.world.advance(second);
    await join();
    await alive();
    await expect(join()).rejects.toThrow('counts as alive until');
  });
});
