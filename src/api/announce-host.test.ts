import { describe, expect, it, vi } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { silentLog } from '../base/log-sink.ts';
import type { HostInfo } from '../domain/host-info.ts';
import { factsLevel } from '../domain/critical.ts';
import { heartbeat } from './operations/host.ts';
import { announceHost, type Announcement, retryAfter } from './announce-host.ts';
import { NoAnswerInTime } from './no-answer.ts';
import { recordingSink } from './testing.ts';

const host: HostInfo = {
  hostId: '00000000-0000-4000-8000-000000000001',
  role: 'Node',
  nodename: 'n1',
  reachability: { status: 'direct', address: '10.0.0.1:3022' },
  publicAddress: '',
  sshPublicAddress: '',
  labels: {},
  version: '4.5.0',
};

/** Announces the host to an auth server that takes everything. */
function announced(more: Partial<Parameters<typeof announceHost>[0]> = {}): {
  readonly announcement: Announcement;
  readonly reports: readonly Record<string, unknown>[];
} {
  const reports: Record<string, unknown>[] = [];
  const announcement = announceHost({
    auth: {
      call: (_operation: unknown, input: unknown) => {
        reports.push(input as Record<string, unknown>);
        return Promise.resolve({}) as never;
      },
    },
    sink: silentLog,
    host: () => host,
    adopted: () => ['', ''],
    random: () => 1,
    now: () => '2026-01-01T00:00:00.000Z',
    ...more,
  });
  return { announcement, reports };
}

describe('a heartbeat', () => {
  it('has the address where auth servers of every release read it', async () => {
    const { announcement, reports } = announced();
    await announcement.first;
    await announcement.stop();
    const heard = reports.map(({ host: said }) => said);
    expect(heard).toEqual([
      { ...host, address: '10.0.0.1:3022', reachability: undefined, understands: factsLevel },
    ]);
    expect(JSON.stringify(heard)).not.toContain('reachability');
  });
});

describe('the farewell of a host', () => {
  it.each([
    [false, { leaving: true }],
    [true, { leaving: true, forGood: true }],
  ])('says whether it leaves for good: %j', async (leavesOnStop, expected) => {
    const { announcement, reports } = announced({ leavesOnStop });
    await announcement.first;
    await announcement.stop('farewell');
    expect(reports.map(({ leaving, forGood }) => ({ leaving, forGood }))).toEqual([{}, expected]);
  });
});

describe('what a host has adopted', () => {
  it.each([
    [['', ''], undefined],
    [
      ['', 'aaaa1111:init'],
      ['', 'aaaa1111:init'],
    ],
  ] as const)('of %j it reports %j', async (adopted, expected) => {
    const { announcement, reports } = announced({ adopted: () => adopted });
    await announcement.first;
    await announcement.stop();
    expect(reports.map(({ adopted: said }) => said)).toEqual([expected]);
  });
});

describe('a start that waits for the first heartbeat', () => {
  it('is let go when it is given up', async () => {
    const stopping = new AbortController();
    const announcement = announceHost({
      auth: { call: () => Promise.reject(new CodedError('unavailable', 'nobody is there')) },
      sink: silentLog,
      host: () => host,
      adopted: () => ['', ''],
      random: () => 1,
      now: () => '2026-01-01T00:00:00.000Z',
      stopping: stopping.signal,
    });
    await new Promise((done) => setImmediate(done));
    stopping.abort();
    await announcement.first;
    await announcement.stop();
  });
});

describe('a heartbeat that was not taken', () => {
  const after = (e: unknown): number[] => [1, 2, 3, 4, 50].map((n) => retryAfter(n, e, 60_000));

  it('is tried again soon when it was refused or nobody was there', () => {
    expect(after(new CodedError('unavailable', 'connect ECONNREFUSED'))).toEqual(Array(5).fill(5_000));
  });

  it('is tried less and less often while nobody answers in time, as often as it is due in the end', () => {
    expect(after(new NoAnswerInTime())).toEqual([5_000, 10_000, 20_000, 40_000, 60_000]);
  });
});

describe('a host that changes more often than auth takes it', () => {
  it('says so once, asks for nothing before it is due, and then tells the newest', async () => {
    const told: unknown[] = [];
    const sink = recordingSink();
    let changes = 0;
    const announcement = announceHost({
      auth: {
        call: (_operation: unknown, input: unknown) => {
          told.push((input as { host: HostInfo }).host.labels['n']);
          return Promise.resolve(
            told.length < 3 ? { changeAfterMs: 30_000, notice: 'too often' } : {},
          ) as never;
        },
      },
      sink,
      host: () => ({ ...host, labels: { n: String(changes) } }),
      adopted: () => ['', ''],
      random: () => 1,
      now: () => '2026-01-01T00:00:00.000Z',
      pace: { everyMs: 300, ttlSeconds: 60 },
    });
    await announcement.first;
    expect(announcement.trouble()).toBeUndefined();
    for (let n = 0; n < 29; n++) {
      changes++;
      announcement.renew();
      await new Promise((done) => setImmediate(done));
    }
    expect(told).toEqual(['0']);
    await vi.waitFor(() => {
      expect(told).toEqual(['0', '29', '29']);
    });
    changes++;
    announcement.renew();
    await new Promise((done) => setImmediate(done));
    expect(told).toEqual(['0', '29', '29', '30']);
    expect(sink.lines.filter((line) => line.includes('too often'))).toHaveLength(1);
    await announcement.stop();
  });
});

describe('what keeps a host from renewing its certificates', () => {
  const sentOf = async (trouble: string | undefined): Promise<unknown> => {
    const sent: unknown[] = [];
    const announcement = announceHost({
      auth: {
        call: (_operation: unknown, input: unknown) => {
          sent.push(heartbeat.input.parse(input).trouble);
          return Promise.resolve({}) as never;
        },
      },
      sink: recordingSink(),
      host: () => host,
      adopted: () => ['', ''],
      renewalTrouble: () => trouble,
      random: () => 1,
      now: () => '2026-01-01T00:00:00.000Z',
    });
    await announcement.first;
    await announcement.stop();
    return sent[0];
  };
  it('is reported as one line that auth takes, whatever it holds and however long it is', async () => {
    expect(await sentOf(undefined)).toBeUndefined();
    expect(await sentOf('the disk\nis \u001b[1mfull')).toBe('the disk is [1mfull');
    expect(await sentOf('x'.repeat(199) + '\u{1f600}')).toBe(`${'x'.repeat(199)}\ufffd`);
  });
});

describe('the sessions of a node', () => {
  const one = {
    ...{ sid: '00000000-0000-4000-8000-000000000001', user: 'alice', login: 'root', from: '10.0.0.1' },
    startedAt: '2026-01-01T00:00:00.000Z',
  };
  it('are told when they have changed, and again after ten heartbeats; that there are none, twice', async () => {
    let known: readonly (typeof one)[] = [one];
    const { announcement, reports } = announced({ sessions: () => ({ known: [...known] }) });
    await announcement.first;
    const beats = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n++) {
        const before = reports.length;
        await vi.waitFor(() => {
          announcement.renew();
          expect(reports.length).toBeGreaterThan(before);
        });
      }
    };
    const told = () =>
      reports.flatMap(({ sessions }, at) => (sessions === undefined ? [] : [[at, sessions]]));
    await beats(24);
    const [first, second, third] = told();
    expect(first).toEqual([0, { known: [one] }]);
    expect([second?.[0], third?.[0]]).toEqual([11, 22]);
    known = [];
    await beats(40);
    await announcement.stop();
    const none = told().filter(([, sessions]) => (sessions as { known: unknown[] }).known.length === 0);
    expect(none).toHaveLength(2);
  });
});
