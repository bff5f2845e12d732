import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Metrics } from '../../base/service.ts';
import { factsLevel } from '../../domain/critical.ts';
import { heartbeat } from '../host/heartbeat.ts';
import { adminCall, hostCall, openTestAuth, type TestAuth } from '../testing.ts';
import { rotateAuthorities } from './rotate-authorities.ts';
import { measureRotations } from './rotation-metrics.ts';

let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth();
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});

async function measured(): Promise<Record<string, number>> {
  const gauges: Record<string, number> = {};
  const metrics: Metrics = {
    add: () => undefined,
    observe: () => undefined,
    set: (name, value, labels = {}) => {
      gauges[[name, ...Object.values(labels)].join(' ')] = value;
    },
  };
  await measureRotations({ ...auth.deps, metrics }).close();
  return gauges;
}

describe('the gauges of a rotation', () => {
  it('have the phase of each authority, and who lacks it', async () => {
    const hostId = '00000000-0000-4000-8000-0000000000b1';
    const host = {
      ...{ hostId, role: 'Node' as const, nodename: 'node-1', address: '10.0.0.1:3022', publicAddress: '' },
      ...{ sshPublicAddress: '', labels: {}, version: '4.6.0', understands: factsLevel },
    };
    await heartbeat(auth.deps, hostCall('Node', hostId), { host, ttlSeconds: 600 });
    expect(await measured()).toMatchObject({
      'authority_rotation_phase host standby': 1,
      'authority_rotation_phase host init': 0,
      'authority_rotation_hosts_alive host': 1,
      'authority_rotation_hosts_lagging host': 0,
    });
    await rotateAuthorities(auth.deps, adminCall, {
      ...{ types: ['host'], phase: 'init', mode: 'manual', gracePeriodMs: 3_600_000 },
      ...{ force: false, dryRun: false, endSessions: false },
    });
    expect(await measured()).toMatchObject({
      'authority_rotation_phase host standby': 0,
      'authority_rotation_phase host init': 1,
      'authority_rotation_phase user standby': 1,
      'authority_rotation_hosts_alive user': 1,
      'authority_rotation_hosts_lagging user': 0,
      'authority_rotation_hosts_lagging host': 1,
    });
  });

  it('are counted once a minute while nothing rotates, and every five seconds while something does', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] });
    try {
      let [ms, counted] = [0, 0];
      const { views } = auth.deps;
      const hosts = { ...views.hosts, state: () => (counted++, views.hosts.state()) };
      const clock = { now: () => auth.deps.world.now(), monotonic: () => ms };
      const metrics: Metrics = { add: () => undefined, observe: () => undefined, set: () => undefined };
      const measuring = measureRotations({ views: { ...views, hosts, clock }, metrics });
      const pass = async (minutes: number): Promise<number> => {
        counted = 0;
        for (let i = 0; i < minutes * 12; i++) {
          ms += 5_000;
          vi.advanceTimersByTime(5_000);
          await new Promise((resolve) => setImmediate(resolve));
        }
        return counted;
      };
      expect(await pass(5)).toBe(5);
      await rotateAuthorities(auth.deps, adminCall, {
        ...{ types: ['host'], phase: 'init', mode: 'manual', gracePeriodMs: 3_600_000 },
        ...{ force: false, dryRun: false, endSessions: false },
      });
      expect(await pass(5)).toBe(60);
      await measuring.close();
    } finally {
      vi.useRealTimers();
    }
  });
});
