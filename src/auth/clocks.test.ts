import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeWorld, fakeWorld } from '../api/testing.ts';
import { hour, minute, plusMs, second } from '../base/time.ts';
import type { ClusterLog } from '../log/event-log.ts';
import { memoryLog } from '../log/memory-log.ts';
import { announceSelf } from './host/announce-self.ts';
import { readClusterStatus } from './cluster/read-cluster-status.ts';
import { createToken } from './token/create-token.ts';
import { heartbeat } from './host/heartbeat.ts';
import { logLead } from './log/log-lead.ts';
import { adminCall, callOf, openTestAuth, type TestAuth } from './testing.ts';

const start = '2026-01-01T00:00:00.000Z';
const idOf = (n: number): string => `00000000-0000-4000-8000-00000000000${n}`;

interface Server {
  readonly auth: TestAuth;
  readonly n: number;
}

describe('the clock of an auth server', () => {
  let trueMs = 0;
  let log: ClusterLog;
  let servers: Server[] = [];

  /** Its clock is ahead by `skewMs`; what it heard grows old by the true time. */
  const open = async (n: number, skewMs: number): Promise<Server> => {
    const world: FakeWorld = { ...fakeWorld(), now: () => plusMs(start, trueMs + (skews.get(n) ?? 0)) };
    skews.set(n, skewMs);
    const auth = await openTestAuth({
      log,
      world,
      hostId: idOf(n),
      nodename: `auth-${n}`,
      ageing: () => trueMs,
    });
    servers.push({ auth, n });
    return { auth, n };
  };
  const skews = new Map<number, number>();

  const announceAll = async (): Promise<void> => {
    trueMs += 20 * second;
    for (const { auth, n } of servers) {
      const self = { hostId: idOf(n), nodename: `auth-${n}`, publicAddresses: [] };
      await announceSelf(auth.deps, self, { host: `10.0.0.${n}`, port: 3025 }).catch(() => undefined);
    }
    for (const { auth } of servers) {
      await auth.deps.views.presence.reached(await log.presence.head());
      await auth.deps.views.fresh();
      auth.deps.clocks.look();
    }
  };
  const beat = (auth: TestAuth, n: number, skewMs: number, from = `10.0.1.${n}:1`): Promise<unknown> => {
    const hostId = `00000000-0000-4000-8000-0000000000c${n}`;
    const host = {
      hostId,
      role: 'Node' as const,
      nodename: `node-${n}`,
      address: '',
      publicAddress: '',
      sshPublicAddress: '',
      labels: {},
      version: '',
    };
    const sentAt = plusMs(start, trueMs + skewMs);
    const call = callOf({ kind: 'host', role: 'Node', hostId, address: from });
    return heartbeat(auth.deps, call, { host, ttlSeconds: 60, sentAt });
  };
  const statuses = (): string[] => servers.map(({ auth }) => auth.deps.clocks.verdict().status);
  const newToken = (auth: TestAuth): Promise<unknown> =>
    createToken(auth.deps, adminCall, { roles: ['Node'], ttlSeconds: 600 });

  beforeEach(() => {
    trueMs = 0;
    servers = [];
    log = memoryLog({ world: fakeWorld() });
  });
  afterEach(async () => {
    for (const { auth } of servers) await auth.close();
  });

  it('is trusted within a minute', async () => {
    for (const n of [1, 2, 3]) await open(n, n * 15 * second);
    await announceAll();
    expect(statuses()).toEqual(['agreed', 'agreed', 'agreed']);
    expect(servers.map(({ auth }) => auth.deps.clocks.notice())).toEqual([undefined, undefined, undefined]);
  });
  it('that differs from most stops it from deciding and writing, until it is set', async () => {
    const [, , third] = [await open(1, 0), await open(2, 0), await open(3, 5 * hour)];
    await announceAll();
    expect(statuses()).toEqual(['others_wrong', 'others_wrong', 'own_wrong']);
    expect(third.auth.deps.clocks.trouble()).toBe(
      'decides and writes nothing: its clock is 18000 s ahead of those of 2 of the 2 machines it hears, which agree: ' +
        'set it (chrony, ntpd)',
    );
    const before = await log.state.head();
    await expect(newToken(third.auth)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('its clock is 18000 s ahead') as string,
    });
    await expect(beat(third.auth, 1, 0)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(
      third.auth.deps.log.takeSnapshot('state', [], { trim: false }, { at: start, actor: '', requestId: '' }),
    ).rejects.toMatchObject({ code: 'unavailable' });
    expect(await log.state.head()).toBe(before);
    expect(await readClusterStatus(third.auth.deps, adminCall, {})).toMatchObject({
      trouble: expect.stringMatching(/^decides and writes nothing/) as string,
    });
    expect(servers[0]?.auth.deps.clocks.notice()).toBe(
      'the clock of auth-3 is 18000 s ahead of that of this auth server; most of the others agree with this one: ' +
        'set the clocks (chrony, ntpd)',
    );
    skews.set(3, 0);
    await newToken(third.auth);
    expect(third.auth.deps.clocks.trouble()).toBeUndefined();
  });
  it('that steps while it runs is found at once, by what was heard before', async () => {
    const first = await open(1, 0);
    for (const n of [2, 3]) await open(n, 0);
    await announceAll();
    skews.set(1, -hour);
    await expect(newToken(first.auth)).rejects.toMatchObject({ code: 'unavailable' });
  });
  it('cannot be told from that of one other: both go on, and both say so, once in ten minutes', async () => {
    for (const [n, skewMs] of [
      [1, 0],
      [2, 10 * minute],
    ] as const)
      await open(n, skewMs);
    await announceAll();
    await announceAll();
    expect(statuses()).toEqual(['undecided', 'undecided']);
    for (const [i, { auth }] of servers.entries()) {
      await newToken(auth);
      const { clock, trouble } = await readClusterStatus(auth.deps, adminCall, {});
      expect(trouble).toBe('');
      expect(clock).toContain(
        i === 0
          ? 'the clock of auth-2 is 600 s ahead of that of this auth server; which of them is wrong is not known here'
          : 'the clock of auth-1 is 600 s behind that of this auth server; which of them is wrong is not known here',
      );
      expect(auth.sink.lines.filter((line) => line.includes('is not known here'))).toHaveLength(1);
    }
  });
  it('of two is told by the hosts, though not by one that is on the same machine', async () => {
    const [first, second_] = [await open(1, 0), await open(2, hour)];
    await announceAll();
    for (const { auth } of servers) for (const n of [1, 2]) await beat(auth, n, 0).catch(() => undefined);
    for (const { auth } of servers) auth.deps.clocks.look();
    expect(statuses()).toEqual(['others_wrong', 'own_wrong']);
    second_.auth.deps.clocks.hear(idOf(2), plusMs(start, trueMs + hour), '127.0.0.1:1');
    second_.auth.deps.clocks.look();
    expect(second_.auth.deps.clocks.verdict()).toMatchObject({ status: 'own_wrong', heard: 3 });
    expect(first.auth.deps.clocks.trouble()).toBeUndefined();
  });
  it('is not outvoted by one machine that says it is many', async () => {
    const { auth } = await open(1, 0);
    for (let n = 1; n <= 9; n++) await beat(auth, n, hour, `10.0.9.9:${n}`);
    auth.deps.clocks.look();
    expect(auth.deps.clocks.verdict()).toMatchObject({ status: 'undecided' });
    expect(auth.deps.clocks.trouble()).toBeUndefined();
    await beat(auth, 1, 0);
    auth.deps.clocks.look();
    expect(auth.deps.clocks.verdict()).toMatchObject({ status: 'others_wrong' });
  });
  it('is not judged by what was said long ago', async () => {
    const [first] = [await open(1, 0), await open(2, hour), await open(3, hour)];
    await announceAll();
    expect(first.auth.deps.clocks.verdict().status).toBe('own_wrong');
    trueMs += 4 * minute;
    expect(first.auth.deps.clocks.verdict().status).toBe('agreed');
    const late = await open(4, 0);
    late.auth.deps.clocks.look();
    expect(late.auth.deps.clocks.verdict().status).toBe('agreed');
  });
  it('that set the time of the log ahead is told of, and does no harm', async () => {
    const first = await open(1, 5 * hour);
    await newToken(first.auth);
    skews.set(1, 0);
    expect(await logLead(first.auth.deps)).toMatch(
      /^the log's time is ahead \(state by 18000 s, presence by 18000 s.*: harmless/,
    );
    trueMs += 5 * hour;
    expect(await logLead(first.auth.deps)).toBeUndefined();
  });
});
