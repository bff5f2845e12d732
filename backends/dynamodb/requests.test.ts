import { describe, expect, it } from 'vitest';
import { Requests } from './requests.ts';
import { Throttling } from './throttling.ts';

const world = { randomBytes: () => Uint8Array.of(0) };
const throttled = (): Error =>
  Object.assign(new Error('slow down'), {
    name: 'ProvisionedThroughputExceededException',
    $metadata: { httpStatusCode: 400 },
  });
const requests = (periodMs = 60_000): Requests => new Requests({ periodMs, place: 'table t', world });

describe('sending to DynamoDB', () => {
  it('goes on after any number of throttlings, and counts them', async () => {
    const some = requests();
    let left = 40;
    const answer = await some.send(
      () => (left-- > 0 ? Promise.reject(throttled()) : Promise.resolve('done')),
      {
        writing: true,
      },
    );
    expect(answer).toBe('done');
    expect(some.counters).toMatchObject({ requests: 41, throttled: 40, retries: 40, throttledFailures: 0 });
    expect(some.counters.throttledMs).toBeGreaterThan(0);
  });

  it('gives up at its deadline: nothing was written', async () => {
    const some = requests(0);
    await expect(some.send(() => Promise.reject(throttled()), { writing: true })).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('throttles us (table t)') as string,
    });
    expect(some.counters).toMatchObject({ requests: 1, throttledFailures: 1 });
  });

  it('sends a write once when its answer is lost, and anything else again', async () => {
    for (const writing of [true, false]) {
      const some = requests();
      let sent = 0;
      const done = some.send(
        () => (sent++ === 0 ? Promise.reject(new Error('reset')) : Promise.resolve('done')),
        {
          writing,
        },
      );
      if (writing) await expect(done).rejects.toMatchObject({ code: 'ambiguous' });
      else expect(await done).toBe('done');
      expect([sent, some.counters.lostAnswers]).toEqual(writing ? [1, 1] : [2, 0]);
    }
  });

  it('sends again a write that may be, and does not forget that an answer was lost', async () => {
    const some = requests();
    let sent = 0;
    const rules = { writing: true, repeatable: true };
    const lostFirst = (then: () => Promise<string>) => () =>
      sent++ === 0 ? Promise.reject(new Error('reset')) : then();
    expect(
      await some.send(
        lostFirst(() => Promise.resolve('done')),
        rules,
      ),
    ).toBe('done');
    sent = 0;
    const denied = Object.assign(new Error('no'), {
      name: 'AccessDeniedException',
      $metadata: { httpStatusCode: 400 },
    });
    await expect(
      some.send(
        lostFirst(() => Promise.reject(denied)),
        rules,
      ),
    ).rejects.toMatchObject({
      code: 'ambiguous',
    });
    const short = requests(100);
    sent = 0;
    const slow = lostFirst(() => Promise.reject(throttled()));
    await expect(short.send(slow, rules)).rejects.toMatchObject({ code: 'ambiguous' });
  });

  it('does not repeat what is refused, and takes nothing after it was closed', async () => {
    const some = requests();
    const denied = Object.assign(new Error('no'), {
      name: 'AccessDeniedException',
      $metadata: { httpStatusCode: 400 },
    });
    await expect(some.send(() => Promise.reject(denied))).rejects.toMatchObject({ code: 'misconfigured' });
    expect(some.counters.requests).toBe(1);
    some.close();
    await expect(some.send(() => Promise.resolve(1))).rejects.toMatchObject({ code: 'unavailable' });
    expect(some.counters.requests).toBe(1);
  });
});

describe('telling that the table throttles', () => {
  const seconds = (share: number, count: number): Throttling => {
    let now = 0;
    const throttling = new Throttling(() => now);
    for (let second = 0; second < count; second++) {
      now = second * 1_000;
      for (let n = 0; n < 10; n++) throttling.answered(n < 10 * share);
    }
    return throttling;
  };

  it('is for what lasts and is heavy, not for a moment or a few', () => {
    expect(seconds(0.7, 30).trouble()).toContain('70 % of the calls');
    expect(seconds(0.7, 10).trouble()).toBeUndefined();
    expect(seconds(0.1, 60).trouble()).toBeUndefined();
    expect(seconds(0, 60).trouble()).toBeUndefined();
    expect(new Throttling(() => 0).trouble()).toBeUndefined();
  });

  it('ends when it is over, also when nobody writes any more', () => {
    let now = 0;
    const throttling = new Throttling(() => now);
    for (; now < 20_000; now += 100) throttling.answered(true);
    expect(throttling.trouble()).toContain('100 %');
    now += 31_000;
    expect(throttling.trouble()).toBeUndefined();
  });
});
