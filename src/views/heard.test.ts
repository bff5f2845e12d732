import { afterEach, describe, expect, it } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { hour, minute, plusMs } from '../base/time.ts';
import { type Heard, openHeard } from './heard.ts';
import { recordedAt, scriptedLog } from './testing.ts';

const at = '2026-01-01T12:00:00.000Z';
const created = (expiresAt: string): object => ({
  roles: ['Node'],
  expiresAt,
  ttlMs: 30 * minute,
  uses: null,
});
const span = (until: string): { until: string; lengthMs: number } => ({ until, lengthMs: 30 * minute });

describe('since when a server knows of what ends', () => {
  let heard: Heard | undefined;
  afterEach(() => heard?.view.close());

  const open = async (): Promise<{
    tell: (position: number, type: string, data: object) => void;
    age: (until: string, lengthMs?: number) => number | undefined;
    /** The log has gone back, and ends before `head` + 1. */
    goBack: (head: number) => Promise<void>;
    set: (wish: { ms?: number; live?: boolean; wall?: number }) => void;
  }> => {
    let [ms, live, wall] = [0, true, 0];
    const log = scriptedLog();
    const clock = { now: () => plusMs(at, wall), monotonic: () => ms };
    const opened = await openHeard(log, 10, { clock, live: () => live });
    heard = opened;
    expect(log.begun).toEqual([10]);
    return {
      tell: (position, type, data) => {
        log.tell(recordedAt(position, 'token-a', { type, data }));
      },
      age: (until, lengthMs = 30 * minute) => opened.ages('token-a', [{ until, lengthMs }])[until],
      goBack: async (head) => {
        [log.newest, log.beginning] = [head, 0];
        log.fail(new CodedError('cursor_too_old', 'it has gone back'));
        await expect.poll(() => log.readers.size).toBe(1);
        expect(log.begun).toEqual([10, 0]);
      },
      set: (wish) => {
        ms = wish.ms ?? ms;
        live = wish.live ?? live;
        wall = wish.wall ?? wall;
      },
    };
  };

  it('is when it was folded, whatever moments were said and however the clock is set', async () => {
    const { tell, age, set } = await open();
    for (const [i, until] of [plusMs(at, 9 * hour), plusMs(at, -9 * hour)].entries()) {
      tell(11 + i, 'token.created', created(until));
      set({ ms: i * 1000 + 1000, wall: 50 * hour });
    }
    expect([age(plusMs(at, 9 * hour)), age(plusMs(at, -9 * hour))]).toEqual([2000, 1000]);
  });
  it.each([
    ['user.locked', { until: plusMs(at, 1), reason: '', forMs: 20 * minute }],
    ['user.login_refused', { at: plusMs(at, 1), reason: 'wrong_otp', addresses: { remote: '', local: '' } }],
    ['invite.created', { username: 'j', purpose: 'invite', expiresAt: plusMs(at, 1), ttlMs: hour }],
  ])('is kept for %s', async (type, data) => {
    const { tell, age, set } = await open();
    set({ wall: hour });
    tell(11, type, data);
    set({ ms: 5 });
    expect(age(plusMs(at, 1))).toBe(5);
  });
  it('is its beginning for what was there before, and now when that lies ahead', async () => {
    const { age, set } = await open();
    set({ ms: 3 });
    expect(age(plusMs(at, 20 * minute))).toBe(10 * minute + 3);
    expect(age(plusMs(at, 9 * hour))).toBe(3);
  });
  it('is its beginning for what comes late', async () => {
    const { tell, age, set } = await open();
    set({ ms: hour, wall: hour, live: false });
    tell(11, 'token.created', created(plusMs(at, 40 * minute)));
    expect(age(plusMs(at, 40 * minute))).toBe(50 * minute);
  });
  it('stays as it was for what is folded again, because the log had gone back', async () => {
    const { tell, age, set, goBack } = await open();
    tell(11, 'token.created', created(plusMs(at, hour)));
    set({ ms: 20 * minute, wall: 9 * hour });
    await goBack(12);
    expect(heard?.view.failure()).toBeDefined();
    tell(11, 'token.created', created(plusMs(at, hour)));
    tell(12, 'token.created', created(plusMs(at, 9 * hour)));
    await heard?.view.reached(12);
    expect([age(plusMs(at, hour)), age(plusMs(at, 9 * hour))]).toEqual([20 * minute, 30 * minute]);
    tell(13, 'token.created', created(plusMs(at, 2 * hour)));
    expect([age(plusMs(at, 2 * hour)), heard?.view.failure()]).toEqual([0, undefined]);
  });
  it('goes on after the store was away, though nothing was written', async () => {
    const log = scriptedLog();
    log.newest = 10;
    heard = await openHeard(log, 10, { clock: { now: () => at, monotonic: () => 0 }, live: () => true });
    log.fail(new CodedError('unavailable', 'the store is away'));
    await expect.poll(() => log.begun.length).toBe(2);
    await expect.poll(() => heard?.view.failure()).toBeUndefined();
    await heard.view.reached(10);
  });
  it('is forgotten when all that lasts is over', async () => {
    const { tell, set } = await open();
    tell(11, 'token.created', created(plusMs(at, minute)));
    set({ ms: 50 * hour });
    for (let n = 0; n < 64; n++) tell(12 + n, 'token.created', created(plusMs(at, hour + n)));
    expect(heard?.view.state().size).toBe(64);
    expect(heard?.ages('token-a', [span(plusMs(at, minute))])[plusMs(at, minute)]).toBeGreaterThan(49 * hour);
  });
});
