import { describe, expect, it } from 'vitest';
import { hour, minute, plusMs } from '../base/time.ts';
import type { Recorded } from '../log/event.ts';
import { absenceView, type AbsenceState, absentMs } from './absence.ts';
import { recordedAt } from './testing.ts';

const start = '2026-01-01T00:00:00.000Z';
const renewed = (position: number, at: string, ...hostIds: string[]): Recorded => {
  const hosts = hostIds.map((hostId) => ({ hostId, role: 'Node', seenAt: at, ttlSeconds: 600 }));
  const event = recordedAt(position, 'presence-auth', { type: 'hosts.renewed', data: { hosts } });
  return { ...event, cause: { ...event.cause, at } };
};

/** `often` facts, each so long after the one before, in which only `there` is renewed. */
function after(
  state: AbsenceState,
  { from, often, everyMs }: { readonly from: string; readonly often: number; readonly everyMs: number },
): AbsenceState {
  let now = state;
  for (let n = 1; n <= often; n++)
    now = absenceView.apply(now, renewed(100 + n, plusMs(from, n * everyMs), 'there'));
  return now;
}

describe('how long a host has not been heard of', () => {
  const begun = absenceView.apply(absenceView.initial, renewed(1, start, 'there', 'gone'));

  it('is the time that passed on the log since its last renewal', () => {
    const state = after(begun, { from: start, often: 120, everyMs: minute / 2 });
    expect([absentMs(state, 'gone', 'Node'), absentMs(state, 'there', 'Node')]).toEqual([hour, 0]);
    // In another role it was never heard of.
    expect(absentMs(state, 'there', 'Proxy')).toBe(hour);
  });

  it('does not grow while nobody writes, nor by a clock that is set ahead', () => {
    const state = after(begun, { from: start, often: 3, everyMs: 100 * hour });
    expect(absentMs(state, 'gone', 'Node')).toBe(3 * minute);
  });

  it('goes on from a snapshot', () => {
    const state = after(begun, { from: start, often: 10, everyMs: minute });
    const stored: unknown = JSON.parse(JSON.stringify(absenceView.encode(state)));
    const again = absenceView.decode(stored);
    for (const hostId of ['gone', 'there'])
      expect(absentMs(again, hostId, 'Node')).toBe(absentMs(state, hostId, 'Node'));
    const next = renewed(200, plusMs(start, 11 * minute), 'there');
    expect(absentMs(absenceView.apply(again, next), 'gone', 'Node')).toBe(11 * minute);
  });

  it('is remembered for 90 days, and from then on as long as this is measured', () => {
    const days = 24 * 60;
    let state = begun;
    // A fold sweeps a few at a time.
    for (let n = 1; n <= 91 * days; n++)
      state = absenceView.apply(state, renewed(n + 1, plusMs(start, n * minute), 'there'));
    expect(state.renewedMs.size).toBe(1);
    expect(absentMs(state, 'gone', 'Node')).toBe(91 * days * minute);
  });

  it('is not changed by a renewal that cannot be read, or by another kind of fact', () => {
    const other = recordedAt(2, 'presence-auth', { type: 'hosts.renewed', data: { hosts: 7 } });
    const state = absenceView.apply(begun, other);
    expect(state.renewedMs).toBe(begun.renewedMs);
  });
});
