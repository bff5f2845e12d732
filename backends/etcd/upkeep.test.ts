import { describe, expect, it, vi, beforeEach, afterEach } from 'vitest';
import { keepingSink } from '../conformance/trial.ts';
import { CodedError } from '../../src/base/errors.ts';
import type { Gauges } from './gauges.ts';
import type { Act, Peers } from './peers.ts';
import { keepUp, type Upkeep } from './upkeep.ts';

const everyMs = 30_000;
const denied = (): Promise<never> =>
  Promise.reject(new CodedError('misconfigured', 'etcd refuses us (a): permission denied'));

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

interface Etcd {
  status: () => Promise<object>;
  alarm: () => Promise<object>;
  compact: () => Promise<object>;
  gauges: Gauges | undefined;
}
const sizes = (dbSize: number) => (): Promise<object> =>
  Promise.resolve({ dbSize: String(dbSize), dbSizeInUse: '5' });
const alarms =
  (...raised: string[]) =>
  (): Promise<object> =>
    Promise.resolve({ alarms: raised.map((alarm) => ({ alarm })) });

const settled = (): Promise<void> => new Promise((done) => setImmediate(done));

/** An upkeep that has looked once, and what it said. */
async function setUp(more: Partial<Etcd> = {}): Promise<{
  upkeep: Upkeep;
  etcd: Etcd;
  lines: string[];
  compacted: string[];
  look: () => Promise<void>;
}> {
  const etcd: Etcd = {
    status: sizes(10),
    alarm: alarms(),
    compact: () => Promise.resolve({}),
    gauges: { quota: 100, size: 20, used: 15 },
    ...more,
  };
  const compacted: string[] = [];
  const client = {
    maintenance: { status: () => etcd.status(), alarm: () => etcd.alarm() },
    kv: {
      compact: ({ revision }: { revision: string }) => {
        compacted.push(revision);
        return etcd.compact();
      },
    },
  };
  const ask = <T>(act: Act<T>): Promise<T> => act(client as never, { deadline: 0 });
  const peers: Pick<Peers, 'call' | 'all' | 'preferred'> = {
    call: ask,
    all: async (act) => [await ask(act)],
    preferred: () => 'a',
  };
  const sink = keepingSink();
  const upkeep = keepUp({
    peers,
    sink,
    newest: () => Promise.resolve('7'),
    gaugesOf: () => Promise.resolve(etcd.gauges),
    everyMs,
    historyKeptMs: 0,
  });
  await settled();
  return {
    upkeep,
    etcd,
    lines: sink.lines,
    compacted,
    look: async () => {
      vi.advanceTimersByTime(everyMs);
      await settled();
    },
  };
}

describe('looking after etcd', () => {
  it('tells sizes and quota, and has no trouble', async () => {
    const { upkeep, lines, compacted } = await setUp();
    expect(upkeep.figures).toEqual({
      peers_answering: 1,
      peers_serving: 1,
      size_bytes: 10,
      used_bytes: 5,
      quota_bytes: 100,
      compacted_revision: 7,
    });
    expect(upkeep.trouble()).toBeUndefined();
    expect(compacted).toEqual(['7']);
    expect(lines).toEqual([]);
  });

  it('goes on where only root may ask: sizes from the metrics, the history compacted, and that told once', async () => {
    const { upkeep, lines, compacted, look } = await setUp({ status: denied, alarm: denied });
    expect(upkeep.figures).toMatchObject({ size_bytes: 20, used_bytes: 15, quota_bytes: 100 });
    expect(compacted).toEqual(['7']);
    await look();
    expect(lines).toEqual([expect.stringContaining('does not let this user ask for: alarms"')]);
  });

  it('tells who serves from who only answers, and nobody once nobody answers', async () => {
    const { upkeep, etcd, look } = await setUp();
    etcd.status = () => Promise.resolve({ dbSize: '10', dbSizeInUse: '5', leader: '0' });
    await look();
    expect(upkeep.figures).toMatchObject({ peers_answering: 1, peers_serving: 0 });
    etcd.status = () => Promise.reject(new CodedError('unavailable', 'no peer of etcd answers'));
    await look();
    expect(upkeep.figures).toMatchObject({ peers_answering: 0, peers_serving: 0 });
    upkeep.close();
  });

  it('looks again soon after a peer did not answer, and once a second at most', async () => {
    const { upkeep, etcd } = await setUp();
    etcd.status = () => Promise.reject(new CodedError('unavailable', 'no peer of etcd answers'));
    upkeep.unanswered();
    expect(upkeep.figures).toMatchObject({ peers_answering: 1 });
    vi.advanceTimersByTime(1_000);
    upkeep.unanswered();
    await settled();
    expect(upkeep.figures).toMatchObject({ peers_answering: 0 });
    upkeep.close();
  });

  it('says what else is refused', async () => {
    const { lines } = await setUp({ status: denied, alarm: denied, compact: denied, gauges: undefined });
    expect(lines).toEqual([expect.stringContaining('ask for: size, alarms, history"')]);
  });

  it('complains once a reason, and again after it was well', async () => {
    const away = (): Promise<never> => Promise.reject(new Error('no peer answers'));
    const { etcd, lines, look } = await setUp({ status: away });
    await look();
    expect(lines).toEqual([expect.stringContaining('no peer answers')]);
    etcd.status = sizes(10);
    await look();
    etcd.status = away;
    await look();
    expect(lines).toHaveLength(2);
  });

  it('says no more once it is closed', async () => {
    const { upkeep, etcd, compacted, look } = await setUp();
    upkeep.close();
    expect(vi.getTimerCount()).toBe(0);
    upkeep.freed('9');
    etcd.status = sizes(99);
    await look();
    expect(compacted).toEqual(['7']);
    expect(upkeep.figures['size_bytes']).toBe(10);
  });
});

describe('trouble', () => {
  it.each([
    ['NOSPACE', /reached its quota/],
    ['CORRUPT', /do not hold the same/],
  ])('is an alarm: %s, until it is disarmed', async (raised, said) => {
    const { upkeep, etcd, look } = await setUp({ alarm: alarms(raised) });
    expect(upkeep.trouble()).toMatch(said);
    expect(upkeep.writes()).toBe('refused');
    etcd.alarm = alarms();
    await look();
    expect(upkeep.trouble()).toBeUndefined();
  });

  it('is over soon after somebody asked, however seldom it is looked after', async () => {
    const { upkeep, etcd } = await setUp({ alarm: alarms('NOSPACE') });
    etcd.alarm = alarms();
    vi.advanceTimersByTime(999);
    expect(upkeep.writes()).toBe('refused');
    await settled();
    expect(upkeep.writes()).toBe('refused');
    vi.advanceTimersByTime(1);
    expect(upkeep.writes()).toBe('refused');
    await settled();
    expect(upkeep.writes()).toBe('taken');
    expect(upkeep.trouble()).toBeUndefined();
  });

  it('is a write that was refused for lack of space, until one is taken', async () => {
    const { upkeep } = await setUp();
    upkeep.full(true);
    expect(upkeep.trouble()).toMatch(/reached its quota/);
    upkeep.full(false);
    expect(upkeep.trouble()).toBeUndefined();
  });

  it('is a database near its quota: from 95 % on only state is written', async () => {
    const { upkeep, etcd, look } = await setUp({ status: sizes(89) });
    const writes = (partition: 'audit' | 'presence' | 'state') => (): void => {
      upkeep.refuseNearQuota(partition);
    };
    expect(upkeep.trouble()).toBeUndefined();
    etcd.status = sizes(90);
    await look();
    expect(upkeep.trouble()).toMatch(/nearly full/);
    expect(upkeep.writes()).toBe('taken');
    expect(writes('audit')).not.toThrow();
    etcd.status = sizes(95);
    await look();
    expect(writes('audit')).toThrow(/nothing is appended to audit/);
    expect(writes('presence')).toThrow(/nothing is appended to presence/);
    expect(writes('state')).not.toThrow();
    // Raised by the operator.
    etcd.gauges = { quota: 200, size: 95, used: 95 };
    await look();
    expect(upkeep.trouble()).toBeUndefined();
  });
});
