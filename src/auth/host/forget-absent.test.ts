import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fakeWorld, type FakeWorld } from '../../api/testing.ts';
import { hour, minute } from '../../base/time.ts';
import { findHost } from '../../views/hosts.ts';
import { adminCall, eventsOf, openTestAuth, type TestAuth } from '../testing.ts';
import { announce } from './heartbeat.ts';
import type { Upkeep } from '../upkeep.ts';
import { forgetAbsent } from './forget-absent.ts';

const [gone, stays] = ['00000000-0000-4000-8000-0000000000c1', '00000000-0000-4000-8000-0000000000c2'];
const limitMs = 3 * hour;

let world: FakeWorld;
let auth: TestAuth;
let forgetting: Upkeep;

const infoOf = (hostId: string) => ({
  ...{ hostId, role: 'Node' as const, nodename: `node-${hostId.slice(-2)}`, version: '4.5.0', labels: {} },
  ...{ publicAddress: '', sshPublicAddress: '' },
  reachability: { status: 'direct' as const, address: '10.0.0.1:3022' },
});

beforeEach(async () => {
  world = fakeWorld();
  auth = await openTestAuth({ world, forgetHostsAfterMs: limitMs });
  forgetting = forgetAbsent(auth.deps);
  for (const hostId of [gone, stays]) await announce(auth.deps, infoOf(hostId), adminCall);
  await pass(minute, gone, stays);
});
afterEach(async () => {
  await forgetting.close();
  await auth.close();
});

/** Time in which these machines report every minute. */
async function pass(ms: number, ...hostIds: readonly string[]): Promise<void> {
  for (let left = ms; left > 0; left -= minute) {
    world.advance(minute);
    for (const hostId of hostIds) auth.deps.presence.renew({ hostId, role: 'Node' }, 600);
    const position = await auth.deps.presence.flush();
    await auth.deps.views.absence.reached(position ?? 0);
    await auth.deps.views.presence.reached(position ?? 0);
  }
}

const members = (): readonly string[] =>
  [gone, stays].filter((hostId) => findHost(auth.deps.views.hosts.state(), hostId, 'Node') !== undefined);
const left = async (): Promise<readonly unknown[]> =>
  (await eventsOf(auth.log, 'state'))
    .filter(({ fact }) => fact.type === 'host.left')
    .map(({ stream, fact }) => [stream, fact.data]);

describe('a machine that has not been heard of', () => {
  it('is no longer a member after that time, once, and whoever reports stays', async () => {
    await pass(limitMs + minute, stays);
    await forgetting.run();
    // It has looked so for a moment only.
    expect(members()).toEqual([gone, stays]);
    await pass(16 * minute, stays);
    const other = forgetAbsent(auth.deps);
    await other.run();
    await Promise.all([forgetting.run(), forgetting.run()]);
    await pass(16 * minute, stays);
    await other.run();
    await other.close();
    expect(members()).toEqual([stays]);
    expect(await left()).toEqual([[`host-${gone}`, { role: 'Node', reason: 'not heard of for 3 h' }]]);
    expect(auth.sink.lines.filter((line) => line.includes('no longer a member'))).toHaveLength(1);
  });

  it('stays when it comes back before, and is a member again when it comes back later', async () => {
    await pass(limitMs + minute, stays);
    await forgetting.run();
    await pass(minute, gone, stays);
    await pass(16 * minute, stays);
    await forgetting.run();
    expect(members()).toEqual([gone, stays]);
    await pass(limitMs, stays);
    await forgetting.run();
    await pass(16 * minute, stays);
    await forgetting.run();
    expect(members()).toEqual([stays]);
    await announce(auth.deps, infoOf(gone), adminCall);
    expect(members()).toEqual([gone, stays]);
  });

  it('stays while no auth server hears of anybody, and when a clock is set ahead', async () => {
    world.advance(500 * hour);
    await pass(minute, stays);
    await forgetting.run();
    await pass(16 * minute, stays);
    await forgetting.run();
    expect(members()).toEqual([gone, stays]);
  });

  it('stays for ever where nobody is to be forgotten', async () => {
    const never = await openTestAuth({ world, log: auth.log, forgetHostsAfterMs: Number.POSITIVE_INFINITY });
    const forgettingNobody = forgetAbsent(never.deps);
    await pass(limitMs + minute, stays);
    await forgettingNobody.run();
    await pass(16 * minute, stays);
    await forgettingNobody.run();
    expect(members()).toEqual([gone, stays]);
    await forgettingNobody.close();
    await never.close();
  });
});
