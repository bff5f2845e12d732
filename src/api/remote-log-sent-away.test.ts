import { describe, expect, it } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { collect, setUp, type Trial, turn, until, useOwnClock } from './remote-log-testing.ts';

useOwnClock();

const away = new CodedError('unavailable', 'the store is away');
const isAway = ({ remote }: Trial, reason: string): Promise<void> =>
  until(() => {
    expect(remote.connection()).toMatchObject({ status: 'away', reason });
  });
const isBack = ({ remote }: Trial): Promise<void> =>
  until(() => {
    expect(remote.connection()).toEqual({ status: 'connected' });
  });

describe('an auth server that cannot follow its log', () => {
  it('goes on where only the place of its tail was trimmed', async () => {
    const trial = await setUp(['a']);
    const { got } = collect(trial.remote);
    await turn();
    trial.fail(new CodedError('cursor_too_old', 'trimmed beneath the reader'));
    await turn();
    trial.add('b');
    await turn();
    expect([got, trial.link.paths.length, trial.server.passedOver]).toEqual([['1:a', '2:b'], 1, 0]);
  });

  it('tells its followers to go elsewhere and why, and takes them again when it can', async () => {
    const trial = await setUp(['a']);
    const { got } = collect(trial.remote);
    await turn();
    trial.store.away = away;
    trial.fail(away);
    await isAway(trial, 'this auth server cannot follow its log: the store is away');
    expect(trial.server.passedOver).toBeGreaterThan(0);
    trial.add('b');
    trial.store.away = undefined;
    await isBack(trial);
    trial.add('c');
    await turn();
    expect(got).toEqual(['1:a', '2:b', '3:c']);
  });

  it('does so too while what it reads is old', async () => {
    const trial = await setUp(['a']);
    const { got } = collect(trial.remote);
    await turn();
    trial.server.trouble = 'is 40 s behind its store';
    await isAway(trial, 'this auth server is 40 s behind its store');
    trial.add('b');
    trial.server.trouble = undefined;
    await isBack(trial);
    await turn();
    expect(got).toEqual(['1:a', '2:b']);
  });

  it('gives no place to begin from while what it reads is old', async () => {
    const trial = await setUp(['a']);
    trial.server.trouble = 'is 40 s behind its store';
    const asked = trial.remote.snapshot('users.1');
    await turn();
    expect(trial.server.passedOver).toBeGreaterThan(0);
    trial.server.trouble = undefined;
    await turn(5_000);
    expect(await asked).toEqual({ position: 2, state: { n: 1 } });
  });

  it('says how old what it reads is, on a busy log too', async () => {
    const trial = await setUp(['a']);
    expect(trial.remote.ageMs()).toBe(Infinity);
    collect(trial.remote);
    await turn(1_500);
    expect(trial.remote.ageMs()).toBeLessThan(1_000);
    trial.server.ageMs = 800;
    for (let n = 0; n < 40; n++) {
      trial.add('b');
      await turn();
    }
    expect(trial.remote.ageMs()).toBeGreaterThanOrEqual(800);
    expect(trial.remote.ageMs()).toBeLessThan(800 + 2 * 1_000);
  });

  it('is left by its followers when it does not send them away itself', async () => {
    const trial = await setUp(['a']);
    collect(trial.remote);
    await turn();
    trial.server.ageMs = 10_001;
    await isAway(trial, 'the auth server has not heard from its store for 10001 ms');
    expect(trial.server.passedOver).toBeGreaterThan(0);
    trial.server.ageMs = 0;
    await isBack(trial);
  });

  it('tells those who hold more than it has that the log went back', async () => {
    const trial = await setUp(['a', 'b', 'c']);
    const ahead = collect(trial.remote);
    const behind = collect(trial.remote, 2);
    await turn();
    trial.putBackTo(2);
    trial.fail(new CodedError('unavailable', 'the store went back'));
    await until(() => {
      expect([ahead.ended(), behind.ended()]).toEqual(['cursor_too_old', 'cursor_too_old']);
    });
    const anew = collect(trial.remote, 1);
    await turn();
    expect(anew.got).toEqual(['2:b']);
  });
});

describe('an auth server whose log has gone on since it went back', () => {
  it.each([
    ['an event', 'c'],
    ['an event that is not for the reader', 'hidden'],
  ])('tells those who know %s that it has another one there', async (_what, last) => {
    const trial = await setUp(['a', 'b', last]);
    const reader = collect(trial.remote);
    await turn();
    trial.store.away = away;
    trial.fail(away);
    await isAway(trial, 'this auth server cannot follow its log: the store is away');
    trial.putBackTo(2);
    for (const type of ['x', 'y', 'z']) trial.add(type);
    trial.store.away = undefined;
    await until(() => {
      expect(reader.ended()).toBe('cursor_too_old');
    });
  });
});

describe('asking a log from afar', () => {
  it('tells where it begins, and the head that a server tells next', async () => {
    const { remote, trimmed, add } = await setUp(['a', 'b']);
    trimmed.before = 1;
    expect(await remote.positionBefore?.('0000-01-01T00:00:00.000Z')).toBe(1);
    collect(remote, 1);
    const head = remote.head?.();
    await turn();
    expect(await head).toBe(2);
    add('c');
    const next = remote.head?.();
    await turn(2_000);
    expect(await next).toBe(3);
    const never = remote.head?.();
    remote.close();
    await expect(never).rejects.toMatchObject({ code: 'unavailable' });
  });
});
