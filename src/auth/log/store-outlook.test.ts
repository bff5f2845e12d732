import { describe, expect, it } from 'vitest';
import { CodedError } from '../../base/errors.ts';
import { minute } from '../../base/time.ts';
import type { ClusterLog } from '../../log/event-log.ts';
import type { Growth } from '../../log/growth.ts';
import { storeOutlook } from './store-outlook.ts';

const growth: Growth = {
  from: '2026-01-01T00:00:00.000Z',
  until: '2026-01-02T00:00:00.000Z',
  events: 1_000,
  bytes: 1_000_000,
  measured: 'whole',
};

function setUp() {
  const asked: string[] = [];
  let [now, away] = [0, false];
  const log = {
    growth: (partition: string) => {
      asked.push(partition);
      return away ? Promise.reject(new CodedError('unavailable', 'away')) : Promise.resolve(growth);
    },
    store: () => ({ room: { status: 'known', freeBytes: 20_000_000, of: 'quota' } }),
  } as unknown as ClusterLog;
  const pass = (ms: number): number => (now += ms);
  const goAway = (it: boolean): boolean => (away = it);
  return { outlook: storeOutlook(log, () => now), asked, pass, goAway };
}

describe('how long the store has room', () => {
  it('is measured by what is kept, once for all who ask within some minutes', async () => {
    const { outlook, asked, pass } = setUp();
    const lasts = { status: 'lasts', freeBytes: 20_000_000, of: 'quota', bytesPerDay: 2_000_000, days: 10 };
    expect(await Promise.all([outlook(), outlook()])).toEqual([lasts, lasts]);
    pass(4 * minute);
    await outlook();
    expect(asked).toEqual(['state', 'audit']);
    pass(minute);
    await outlook();
    expect(asked).toHaveLength(4);
  });

  it('is not known while the store is away, and measured as soon as it is back', async () => {
    const { outlook, goAway } = setUp();
    goAway(true);
    expect(await outlook()).toBeUndefined();
    goAway(false);
    expect(await outlook()).toMatchObject({ days: 10 });
  });
});
