import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeWorld, fakeWorld, recordingMetrics, recordingSink } from '../../api/testing.ts';
import { minute, second } from '../../base/time.ts';
import { CodedError } from '../../base/errors.ts';
import { silentLog } from '../../base/log-sink.ts';
import type { ClusterLog } from '../../log/event-log.ts';
import { type Partition, partitions, type Recorded } from '../../log/event.ts';
import { memoryKeyring } from '../../log/keyring.ts';
import { readLogKeys } from '../../log/log-key.ts';
import {
  copyOfStore,
  memoryDriver,
  memoryStore,
  type MemoryStore,
  putBackStore,
} from '../../log/memory-driver.ts';
import { openLog } from '../../log/open-log.ts';
import type { StoreNotice } from '../../log/signed-head-witness.ts';
import type { SignedHead } from '../../log/signed-head.ts';
import { verifyLog } from '../../log/verify.ts';
import { type SigningHeads, signingHeads } from './sign-heads.ts';
import { eventsOf } from '../testing.ts';

interface Auth {
  readonly log: ClusterLog;
  readonly heads: SigningHeads;
  readonly sent: SignedHead[];
  readonly notices: StoreNotice[];
  readonly sink: ReturnType<typeof recordingSink>;
}

let world: FakeWorld;
let store: MemoryStore;
const keyring = memoryKeyring();
const open: Auth[] = [];
async function openAuth(over: (log: ClusterLog) => ClusterLog = (log) => log): Promise<Auth> {
  const log = await openLog({ driver: memoryDriver(store), keyring, world, writer: 'w', sink: silentLog });
  const sent: SignedHead[] = [];
  const notices: StoreNotice[] = [];
  const sink = recordingSink();
  const heads = signingHeads({
    log: over(log),
    world,
    sink,
    metrics: recordingMetrics(),
    hostId: `a${open.length}`,
    witnesses: {
      send: (line) => {
        if ('notice' in line) notices.push(line);
        else sent.push(line);
      },
      report: () => [],
      close: () => Promise.resolve(),
    },
  });
  const auth = { log, heads, sent, notices, sink };
  open.push(auth);
  return auth;
}
beforeEach(() => {
  world = fakeWorld();
  store = memoryStore();
});
afterEach(async () => {
  for (const { heads, log } of open.splice(0)) {
    await heads.close();
    await log.close();
  }
});
const happen = async (log: ClusterLog, partition: Partition, count = 1): Promise<void> => {
  const stream = `trial-${world.uuid()}` as const;
  const facts = Array.from({ length: count }, () => ({ type: 'trial.happened', data: {} }));
  for (let at = 0; at < count; at += 500)
    await log[partition].append([{ stream, expected: at, facts: facts.slice(at, at + 500) }], {
      at: world.now(),
      actor: 'admin',
      requestId: 'r',
    });
};
const headsOf = async (log: ClusterLog, partition: Partition): Promise<Recorded[]> =>
  (await eventsOf(log, partition)).filter(({ fact }) => fact.type === 'log.head_signed');

describe('signing heads', () => {
  it('makes the key at first use, and signs what there is', async () => {
    const { log, heads, sent } = await openAuth();
    await heads.run();
    expect(log.stats().state.position).toBe(0);
    await happen(log, 'audit');
    await heads.run();
    expect(sent.map(({ partition, position }) => [partition, position])).toEqual([['audit', 1]]);
    expect(await readLogKeys(log.state)).toHaveLength(1);
    await heads.run();
    expect(sent[1]).toMatchObject({ partition: 'state', position: 1 });
    expect((await verifyLog(memoryDriver(store))).findings).toEqual([]);
  });

  it('waits a minute after the last, and signs at once after 1,000 events', async () => {
    const { log, heads, sent } = await openAuth();
    await happen(log, 'presence');
    await heads.run();
    await heads.run();
    sent.length = 0;
    await happen(log, 'presence');
    world.advance(minute - 1);
    await heads.run();
    expect(sent).toEqual([]);
    world.advance(1);
    await heads.run();
    expect(sent).toMatchObject([{ partition: 'presence', position: 3 }]);
    await happen(log, 'presence', 999);
    await heads.run();
    expect(sent).toHaveLength(1);
    await happen(log, 'presence');
    await heads.run();
    expect(sent[1]).toMatchObject({ partition: 'presence', position: 1004 });
  });

  it('does not take its own signing for activity', async () => {
    const { log, heads, sent } = await openAuth();
    for (const partition of partitions) await happen(log, partition);
    await heads.run();
    await heads.run();
    const count = sent.length;
    const positions = (): number[] => Object.values(log.stats()).map(({ position }) => position);
    const before = positions();
    for (let i = 0; i < 100; i++) {
      world.advance(minute);
      await heads.run();
    }
    // `state` once more: the key was made beside its first head.
    expect(sent.length - count).toBeLessThanOrEqual(1);
    expect(positions().map((at, i) => at - (before[i] ?? 0))).toEqual([sent.length - count, 0, 0, 0]);
  });

  it('is done once by auth servers that do it at the same time, and all of them tell their witnesses', async () => {
    const auths = [await openAuth(), await openAuth(), await openAuth()];
    const [first] = auths;
    if (first === undefined) throw new Error('there is one');
    for (let round = 1; round <= 20; round++) {
      await happen(first.log, 'state');
      await Promise.all(auths.map(({ log }) => log.state.head()));
      world.advance(minute);
      await Promise.all(auths.map(({ heads }) => heads.run()));
      const signed = await headsOf(first.log, 'state');
      expect(signed).toHaveLength(round);
      for (const { sent } of auths) expect(sent.at(-1)).toEqual(signed.at(-1)?.fact.data);
    }
    expect(await readLogKeys(first.log.state)).toHaveLength(1);
    expect((await verifyLog(memoryDriver(store))).findings).toEqual([]);
  });

  it('goes by its own clock, not by that of another auth server', async () => {
    const [one, other] = [await openAuth(), await openAuth()];
    world.advance(60 * minute);
    await happen(one.log, 'audit');
    await one.heads.run();
    world.advance(-60 * minute);
    await other.log.audit.head();
    await other.heads.run();
    await happen(other.log, 'audit');
    await other.heads.run();
    expect(await headsOf(one.log, 'audit')).toHaveLength(1);
    world.advance(minute);
    await other.heads.run();
    expect(await headsOf(one.log, 'audit')).toHaveLength(2);
  });

  it('goes on when the clock is set back', async () => {
    const { log, heads, sent } = await openAuth();
    await happen(log, 'presence');
    await heads.run();
    await heads.run();
    sent.length = 0;
    await happen(log, 'presence');
    world.setClock(-60 * minute);
    world.advance(minute);
    await heads.run();
    expect(sent).toMatchObject([{ partition: 'presence', position: 3 }]);
  });

  it('tries again when it failed and the clock is set back meanwhile', async () => {
    let broken = true;
    const { log, heads, sent, sink } = await openAuth((whole) => ({
      ...whole,
      audit: {
        ...whole.audit,
        follow: whole.audit.follow.bind(whole.audit),
        append: (...args) =>
          broken ? Promise.reject(new CodedError('no_space', 'full')) : whole.audit.append(...args),
        read: whole.audit.read.bind(whole.audit),
        revision: whole.audit.revision.bind(whole.audit),
      },
      stats: () => whole.stats(),
    }));
    await happen(log, 'audit');
    await heads.run();
    expect(sink.lines.filter((line) => line.startsWith('warn'))).toHaveLength(1);
    broken = false;
    world.setClock(-60 * minute);
    world.advance(15 * second);
    await heads.run();
    expect(sent.filter(({ partition }) => partition === 'audit')).toHaveLength(1);
  });

  it('tells its witnesses the newest head again after a start', async () => {
    const before = await openAuth();
    await happen(before.log, 'audit');
    await before.heads.run();
    const { heads, sent } = await openAuth();
    await heads.run();
    expect(sent).toContainEqual(before.sent[0]);
  });

  it('warns once while it fails, tries again, and says so after ten minutes', async () => {
    let broken = true;
    const full = (log: ClusterLog): ClusterLog => ({
      ...log,
      audit: Object.assign(Object.create(log.audit) as typeof log.audit, {
        append: (...args: Parameters<typeof log.audit.append>) =>
          broken ? Promise.reject(new CodedError('no_space', 'the disk is full')) : log.audit.append(...args),
        read: log.audit.read.bind(log.audit),
        revision: log.audit.revision.bind(log.audit),
      }),
    });
    const { log, heads, sink } = await openAuth(full);
    await happen(log, 'audit');
    for (let i = 0; i < 45; i++) {
      await heads.run();
      world.advance(15 * second);
    }
    expect(sink.lines.filter((line) => line.startsWith('warn'))).toHaveLength(1);
    expect(heads.trouble()).toMatch(
      /^heads of the log have not been signed since .*: audit: the disk is full$/,
    );
    broken = false;
    await heads.run();
    expect(heads.trouble()).toBeUndefined();
    expect(await headsOf(log, 'audit')).toHaveLength(1);
  });
});

describe('a store that went back', () => {
  it('is told to the witnesses once, with how far; nothing is signed until it is settled', async () => {
    const { log, heads, sent, notices, sink } = await openAuth();
    await happen(log, 'audit');
    await heads.run();
    const kept = copyOfStore(store);
    await happen(log, 'audit', 2_000);
    const { slot, hash } = log.stats().audit;
    putBackStore(store, kept);
    await expect(log.audit.head()).rejects.toMatchObject({ code: 'unavailable' });
    const ofAudit = (): number => sent.filter(({ partition }) => partition === 'audit').length;
    const before = ofAudit();
    for (let n = 0; n < 3; n++) await heads.run();
    expect(notices).toEqual([
      {
        notice: 'the store went back',
        ...{ partition: 'audit', slot, hash, at: world.now(), hostId: 'a0' },
        reason: expect.stringContaining(`its audit log was read up to slot ${slot}`) as string,
      },
    ]);
    expect([ofAudit(), sink.lines]).toEqual([before, []]);
  });
});
