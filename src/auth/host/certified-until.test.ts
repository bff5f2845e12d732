import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hour, second } from '../../base/time.ts';
import { rotationMark } from '../../domain/rotation-mark.ts';
import type { RotationPhase } from '../../domain/rotation.ts';
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

const step = (phase: RotationPhase, gracePeriodMs = hour) =>
  rotateAuthorities(auth.deps, adminCall, {
    ...{ types: ['host'], phase, mode: 'manual', gracePeriodMs },
    ...{ force: true, dryRun: false, endSessions: false },
  });
const alive = (mark = '') =>
  heartbeat(auth.deps, hostCall('Node', hostId), {
    host: {
      ...{ hostId, role: 'Node', nodename: 'n1', address: '10.9.1.7:3022' },
      ...{ publicAddress: '', sshPublicAddress: '', labels: {}, version: '4.6.0' },
    },
    ttlSeconds: 600,
    ...(mark !== '' && { adopted: ['', mark] }),
  });
const markNow = (): string => rotationMark(auth.deps.views.authorities.state().host.state);

describe('a machine whose key was withdrawn', () => {
  it('comes back under its id at once when all keys were replaced, though it was alive a moment ago', async () => {
    await join();
    await alive();
    await expect(join()).rejects.toThrow('counts as alive until');
    await step('init', 0);
    await join();
  });

  it('keeps its id from others once it is heard of again', async () => {
    await join();
    await step('init', 0);
    auth.world.advance(second);
    await join();
    await alive();
    await expect(join()).rejects.toThrow('counts as alive until');
  });

  it('comes back at once when a rotation left it behind with the old certificate', async () => {
    await join();
    await step('init');
    await alive(markNow());
    for (const phase of ['update_clients', 'update_servers', 'standby'] as const) {
      await expect(join()).rejects.toThrow('counts as alive until');
      await step(phase);
    }
    await join();
  });

  it('keeps its id when the certificate that it has is of the key that stayed', async () => {
    await join();
    for (const phase of ['init', 'update_clients'] as const) await step(phase);
    await alive(markNow());
    for (const phase of ['update_servers', 'standby'] as const) await step(phase);
    await expect(join()).rejects.toThrow('counts as alive until');
  });
});
