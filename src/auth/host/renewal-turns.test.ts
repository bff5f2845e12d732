import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { type Deadline, noDeadline } from '../../base/deadline.ts';
import { CodedError } from '../../base/errors.ts';
import { renewalTurns } from './renewal-turns.ts';

/** Renewals that end when the test says so, beside people who log in as long as it says so. */
function rig({ takesMs = 30 } = {}) {
  const state = { clock: 0, looks: 0, begun: 0, most: 0, underWay: 0 };
  const rests: number[] = [];
  const calming: { readonly mostMs: number; readonly done: () => void }[] = [];
  const ending: (() => void)[] = [];
  let busy = false;
  const turns = renewalTurns({
    look: () => {
      state.looks++;
      return Promise.resolve(state.looks);
    },
    calm: (mostMs) =>
      busy
        ? new Promise((done) =>
            calming.push({
              mostMs,
              done: () => {
                done();
              },
            }),
          )
        : Promise.resolve(),
    monotonic: () => state.clock,
    rest: (ms) => {
      rests.push(ms);
      return Promise.resolve();
    },
  });
  const renew = (deadline: Deadline = noDeadline): Promise<number> =>
    turns.run(deadline, async (asOf) => {
      state.begun++;
      state.most = Math.max(state.most, ++state.underWay);
      await new Promise<void>((end) => ending.push(end));
      state.underWay--;
      return asOf;
    });
  const settle = async (): Promise<void> => {
    for (let n = 0; n < 5; n++) await turn();
  };
  const endAll = async (): Promise<void> => {
    await settle();
    state.clock += takesMs;
    for (const end of ending.splice(0)) end();
    await settle();
  };
  const logIn = (is: boolean): void => {
    busy = is;
    if (!is) for (const { done } of calming.splice(0)) done();
  };
  return { state, rests, calming, renew, settle, endAll, logIn };
}

it('has few renewals at once, which share a look, and rests as long as they took', async () => {
  const { state, rests, renew, endAll } = rig();
  const all = Array.from({ length: 9 }, () => renew());
  for (let n = 0; n < 4; n++) await endAll();
  expect(await Promise.all(all)).toHaveLength(9);
  expect(state.most).toBe(4);
  expect(state.looks).toBeLessThanOrEqual(4);
  expect(rests).toEqual(rests.map(() => 30));
  expect(rests.length).toBe(state.looks);
});

it('gives each the head that was read after it came', async () => {
  const { renew, endAll } = rig();
  const first = renew();
  await endAll();
  const second = renew();
  await endAll();
  expect([await first, await second]).toEqual([1, 2]);
});

it('waits for those who log in, for half a second at most', async () => {
  const { state, calming, renew, settle, endAll, logIn } = rig();
  logIn(true);
  const one = renew();
  await settle();
  expect([state.begun, calming.map(({ mostMs }) => mostMs)]).toEqual([0, [500]]);
  logIn(false);
  await endAll();
  expect(await one).toBe(1);
});

it('turns away who comes when too many wait, and does nothing for whom nobody waits any more', async () => {
  const { state, renew, settle, endAll, logIn } = rig();
  logIn(true);
  const over: Deadline = { begin: () => undefined, isOver: () => true };
  const late = renew(over);
  const others = Array.from({ length: 99 }, () => renew());
  await expect(renew()).rejects.toMatchObject({ code: 'limit_exceeded', retryAfterMs: 5_000 });
  const refused = expect(late).rejects.toMatchObject({ code: 'unavailable', outcome: 'nothing' });
  await settle();
  logIn(false);
  for (let n = 0; n < 30; n++) await endAll();
  await refused;
  await Promise.all(others);
  expect(state.begun).toBe(99);
});

it('passes on why the store could not be read, and goes on', async () => {
  const away = new CodedError('unavailable', 'the store is away');
  let fails = true;
  const turns = renewalTurns({
    look: () => (fails ? Promise.reject(away) : Promise.resolve(1)),
    calm: () => Promise.resolve(),
    monotonic: () => 0,
    rest: () => Promise.resolve(),
  });
  await expect(turns.run(noDeadline, () => Promise.resolve('a'))).rejects.toBe(away);
  fails = false;
  expect(await turns.run(noDeadline, () => Promise.resolve('b'))).toBe('b');
  const bug = new Error('a bug');
  await expect(turns.run(noDeadline, () => Promise.reject(bug))).rejects.toBe(bug);
  expect(await turns.run(noDeadline, () => Promise.resolve('c'))).toBe('c');
});
