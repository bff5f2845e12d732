import { describe, expect, it, vi } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { silentLog } from '../base/log-sink.ts';
import type { HostInfo } from '../domain/host-info.ts';
import { announceHost, retryAfter } from './announce-host.ts';
import { NoAnswerInTime } from './no-answer.ts';
import { recordingSink } from './testing.ts';

describe('a start that waits for the first heartbeat', () => {
  it('is let go when it is given up', async () => {
    const stopping = new AbortController();
    const announcement = announceHost({
      auth: { call: () => Promise.reject(new CodedError('unavailable', 'nobody is there')) },
      sink: silentLog,
      host: () => ({}) as HostInfo,
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
      host: () => ({ labels: { n: String(changes) } }) as unknown as HostInfo,
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
