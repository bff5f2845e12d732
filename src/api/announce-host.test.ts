import { describe, expect, it } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { silentLog } from '../base/log-sink.ts';
import type { HostInfo } from '../domain/host-info.ts';
import { announceHost, retryAfter } from './announce-host.ts';
import { NoAnswerInTime } from './no-answer.ts';

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
