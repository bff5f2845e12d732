import { describe, expect, it } from 'vitest';
import { isCoded } from '../../src/base/errors.ts';
import { batchOverhead, maxBatchBytes } from '../../src/log/batch.ts';
import { maxEventBytes } from '../../src/log/stored-event.ts';
import { collect } from '../../src/log/testing.ts';
import { seeded, withCommitFaults, withFailingReads } from './faults.ts';
import { add, cause, causeAt, happened, numberOf, type Trial } from './trial.ts';

export function describeAppending(trial: () => Trial): void {
  describe('appending', () => {
    it('refuses a wrong revision and changes nothing', async () => {
      const { state } = await trial().log();
      await add(state, 'a-1', 1);
      for (const expected of [0, 2, 3])
        await expect(
          state.append([{ stream: 'a-1', expected, facts: [happened(2)] }], cause),
        ).rejects.toMatchObject({ code: 'conflict' });
      expect(await state.head()).toBe(1);
    });

    it('takes several streams or none of them', async () => {
      const { state } = await trial().log();
      await add(state, 'b-1', 1);
      const both = (expected: number): Promise<number> =>
        state.append(
          [
            { stream: 'a-1', expected: 0, facts: [happened(2)] },
            { stream: 'b-1', expected, facts: [happened(3), happened(4)] },
          ],
          cause,
        );
      await expect(both(0)).rejects.toMatchObject({ code: 'conflict' });
      expect(await state.revision('a-1')).toBe(0);
      expect(await both(1)).toBe(4);
    });

    it('knows what another handle wrote before it calls a conflict', async () => {
      const [one, other] = [await trial().log(), await trial().log()];
      await add(one.state, 'a-1', 1);
      // The other handle has read nothing since: it must read before it decides.
      await other.state.append([{ stream: 'a-1', expected: 1, facts: [happened(2)] }], cause);
      const events = await collect(one.state.read('a-1'));
      expect(events.map(numberOf)).toEqual([1, 2]);
      expect(events.map((e) => e.revision)).toEqual([1, 2]);
    });

    it('lets one of fifty racers on two handles win', async () => {
      const logs = [await trial().log(), await trial().log()] as const;
      const race = Array.from({ length: 50 }, (_, n) =>
        logs[n % 2 === 0 ? 0 : 1].state.append([{ stream: 'a-1', expected: 0, facts: [happened(n)] }], cause),
      );
      const results = await Promise.allSettled(race);
      expect(results.filter((r) => r.status === 'fulfilled')).toHaveLength(1);
      for (const result of results)
        if (result.status === 'rejected') expect(isCoded(result.reason, 'conflict')).toBe(true);
      expect(await logs[0].state.head()).toBe(1);
    });

    it('never interleaves inside a stream, whoever writes', async () => {
      const rounds = trial().times(15);
      const logs = [await trial().log(), await trial().log()];
      const streams = ['a-1', 'a-2', 'a-3'] as const;
      const writer = async (who: number): Promise<void> => {
        const log = logs[who % 2]?.state;
        for (let done = 0; log && done < rounds;) {
          const stream = streams[(who + done) % 3] ?? 'a-1';
          const expected = await log.revision(stream);
          const facts = [happened(expected + 1), happened(expected + 2)];
          try {
            await log.append([{ stream, expected, facts }], cause);
            done++;
          } catch (e) {
            if (!isCoded(e, 'conflict')) throw e;
          }
        }
      };
      await Promise.all([0, 1, 2, 3].map(writer));
      const all = await collect(logs[0]?.state.history(0) ?? (await trial().log()).state.history(0));
      expect(all.map((e) => e.position)).toEqual(all.map((_, i) => i + 1));
      expect(all).toHaveLength(4 * 2 * rounds);
      for (const event of all) expect(numberOf(event)).toBe(event.revision);
    });

    it('writes what waits together', async () => {
      const log = await trial().log();
      const all = Array.from({ length: 256 }, (_, n) => add(log.state, `a-${n}`, n));
      await Promise.all(all);
      expect(log.stats().state).toMatchObject({ appends: 256, events: 256 });
      expect(log.stats().state.batches).toBeLessThan(26);
    });

    it('keeps time from going back inside a partition', async () => {
      const { state } = await trial().log();
      await state.append(
        [{ stream: 'a-1', expected: 0, facts: [happened(1)] }],
        causeAt('2026-01-02T00:00:00.000Z'),
      );
      await state.append(
        [{ stream: 'a-2', expected: 0, facts: [happened(2)] }],
        causeAt('2026-01-01T00:00:00.000Z'),
      );
      const moments = (await collect(state.history(0))).map((e) => e.cause.at);
      expect(moments).toEqual(['2026-01-02T00:00:00.000Z', '2026-01-02T00:00:00.000Z']);
    });

    it('takes no append after it was closed', async () => {
      const log = await trial().log();
      await add(log.state, 'a-1', 1);
      await log.close();
      const late = log.state.append([{ stream: 'a-1', expected: 1, facts: [happened(2)] }], cause);
      await expect(late).rejects.toMatchObject({ code: 'unavailable' });
    });
  });

  describe('an append whose answer is lost', () => {
    it('is settled as success and written once', async () => {
      const { state } = await trial().log({ wrap: (d) => withCommitFaults(d, () => 'lost answer') });
      for (let n = 1; n <= 5; n++) expect(await add(state, 'a-1', n)).toBe(n);
      expect((await collect(state.history(0))).map(numberOf)).toEqual([1, 2, 3, 4, 5]);
    });

    it('is sent again when the request was lost', async () => {
      const { state } = await trial().log({
        wrap: (d) => withCommitFaults(d, (n) => (n % 2 === 1 ? 'lost request' : 'none')),
      });
      for (let n = 1; n <= 5; n++) expect(await add(state, 'a-1', n)).toBe(n);
      expect((await collect(state.history(0))).map(numberOf)).toEqual([1, 2, 3, 4, 5]);
    });

    it('is neither doubled nor called a conflict while another handle writes', async () => {
      const rounds = trial().times(25);
      const random = seeded(7);
      const faulty = await trial().log({
        wrap: (d) =>
          withCommitFaults(d, () => {
            const dice = random();
            return dice < 0.3 ? 'lost answer' : dice < 0.6 ? 'lost request' : 'none';
          }),
      });
      const sound = await trial().log();
      const write = async (log: typeof sound, who: string): Promise<void> => {
        for (let n = 1; n <= rounds; n++)
          await log.state.append([{ stream: `w-${who}`, expected: n - 1, facts: [happened(n)] }], cause);
      };
      await Promise.all([write(faulty, 'faulty'), write(sound, 'sound')]);
      for (const who of ['faulty', 'sound']) {
        const numbers = (await collect(sound.state.read(`w-${who}`))).map(numberOf);
        expect(numbers).toEqual(Array.from({ length: rounds }, (_, i) => i + 1));
      }
    });

    it('is settled as success when the driver had sent it twice, also while the store cannot be read', async () => {
      let reads = 0;
      const { state } = await trial().log({
        wrap: (d) =>
          withFailingReads(
            withCommitFaults(d, () => 'taken by itself'),
            () => reads++ === 4,
          ),
      });
      reads = 3;
      const done = state.append([{ stream: 'a-1', expected: 0, facts: [happened(1)] }], cause);
      reads = 4;
      expect(await done).toBe(1);
      expect(await add(state, 'a-1', 2)).toBe(2);
      expect((await collect(state.history(0))).map(numberOf)).toEqual([1, 2]);
    });

    it('is reported as such when the store stays silent, and the log goes on afterwards', async () => {
      let silent = true;
      const { state } = await trial().log({
        wrap: (d) => withCommitFaults(d, () => (silent ? 'lost request' : 'none')),
        settleMs: 30,
      });
      await expect(add(state, 'a-1', 1)).rejects.toMatchObject({ code: 'ambiguous' });
      silent = false;
      expect(await add(state, 'a-1', 2)).toBe(1);
    });
  });

  describe('an append that the store cannot take', () => {
    it.each(['unavailable', 'no space'] as const)('is refused as a whole: %s', async (fault) => {
      let faults = 1;
      const { state } = await trial().log({
        wrap: (d) => withCommitFaults(d, () => (faults-- > 0 ? fault : 'none')),
      });
      await expect(add(state, 'a-1', 1)).rejects.toMatchObject({ code: fault.replace(' ', '_') });
      expect(await state.head()).toBe(0);
      expect(await add(state, 'a-1', 2)).toBe(1);
    });

    it('makes no conflict for another that waited for the same stream', async () => {
      let faults = 1;
      const { state } = await trial().log({
        wrap: (d) => withCommitFaults(d, () => (faults-- > 0 ? 'no space' : 'none')),
      });
      const both = [1, 2].map((n) =>
        state.append([{ stream: 'a-1', expected: 0, facts: [happened(n)] }], cause),
      );
      await expect(both[0]).rejects.toMatchObject({ code: 'no_space' });
      expect(await both[1]).toBe(1);
    });

    it('is refused when too many wait already', async () => {
      const { state } = await trial().log({ maxWaiting: 10 });
      const all = Array.from({ length: 50 }, (_, n) =>
        state.append([{ stream: `a-${n}`, expected: 0, facts: [happened(n)] }], cause),
      );
      const results = await Promise.allSettled(all);
      const refused = results.filter((r) => r.status === 'rejected');
      expect(refused.length).toBeGreaterThan(0);
      for (const { reason } of refused) expect(isCoded(reason, 'limit_exceeded')).toBe(true);
      expect(await state.head()).toBe(50 - refused.length);
    });
  });

  describe('loading many slots', () => {
    it('writes what is absent, keeps what is there, and may be repeated', async () => {
      const driver = await trial().driver();
      const batches = Array.from({ length: 300 }, (_, i) => ({
        slot: i + 1,
        batch: Buffer.from(`batch ${i}`),
      }));
      await driver.load('state', [{ slot: 7, batch: Buffer.from('another') }]);
      for (let round = 0; round < 2; round++) await driver.load('state', batches);
      const stored = await collect((await trial().driver()).read('state', 1));
      expect(stored.map((one) => [one.slot, Buffer.from(one.batch).toString()])).toEqual(
        batches.map(({ slot, batch }) => [slot, slot === 7 ? 'another' : batch.toString()]),
      );
    });
  });

  describe('the size rule', () => {
    it('takes an event of exactly 64 KB, and none of a byte more', async () => {
      const { state } = await trial().log();
      const sized = (bytes: number): Promise<number> =>
        state.append([{ stream: 'a-1', expected: 0, facts: [factOf(bytes)] }], cause);
      await expect(sized(maxEventBytes + 1)).rejects.toMatchObject({ code: 'too_large' });
      expect(await state.head()).toBe(0);
      expect(await sized(maxEventBytes)).toBe(1);
    });

    it('takes a batch of exactly the limit that all stores hold, and none of a byte more', async () => {
      const { state } = await trial().log();
      const { limits } = await trial().driver();
      expect(limits.maxBatchBytes).toBeGreaterThanOrEqual(maxBatchBytes);
      const room = maxBatchBytes - batchOverhead('state', 'trial');
      const whole = Math.floor(room / maxEventBytes);
      const sized = (last: number): Promise<number> =>
        state.append(
          [
            {
              stream: 'a-1',
              expected: 0,
              facts: [...Array.from({ length: whole }, () => factOf(maxEventBytes)), factOf(last)],
            },
          ],
          cause,
        );
      const rest = room - whole * maxEventBytes;
      await expect(sized(rest + 1)).rejects.toMatchObject({ code: 'too_large' });
      expect(await sized(rest)).toBe(whole + 1);
    });

    it('takes 512 events at once, and not one more', async () => {
      const { state } = await trial().log();
      const many = (n: number): Promise<number> =>
        state.append(
          [{ stream: 'a-1', expected: 0, facts: Array.from({ length: n }, (_, i) => happened(i)) }],
          cause,
        );
      await expect(many(513)).rejects.toMatchObject({ code: 'too_large' });
      expect(await many(512)).toBe(512);
    });
  });
}

/**
 * A fact that makes an event of `bytes` bytes, by the log's own count: in stream `a-1`, caused by `cause`.
 */
function factOf(bytes: number): ReturnType<typeof happened> {
  const id = '01234567-0123-7123-8123-0123456789ab';
  const { type, data } = happened(1, 'x');
  const { actor, requestId } = cause;
  const bare = JSON.stringify({ id, stream: 'a-1', type, actor, requestId, data }).length + 64;
  return happened(1, 'x'.repeat(bytes - bare + 1));
}
