import { describe, expect, it } from 'vitest';
import { collect } from '../../src/log/testing.ts';
import { verifyLog } from '../../src/log/verify.ts';
import { seeded } from './faults.ts';
import { add, happened, cause, keepingSink, numberOf, type Trial, times } from './trial.ts';

export function describeEvidence(trial: () => Trial): void {
  const written = async (): Promise<void> => {
    const log = await trial().log();
    for (let n = 1; n <= 9; n++) await add(log.state, `a-${n % 2}`, n);
    await log.close();
  };

  describe('verifying', () => {
    it('counts a whole log', async () => {
      await written();
      const { partitions, bad } = await verifyLog(await trial().driver());
      expect(bad).toBeUndefined();
      expect(partitions[0]).toMatchObject({
        partition: 'state',
        firstSlot: 1,
        lastSlot: 9,
        events: 9,
        position: 9,
      });
      expect(partitions[2]).toMatchObject({ partition: 'audit', firstSlot: 0, lastSlot: 0, events: 0 });
    });

    it('names the batch in which any byte was changed', async () => {
      await written();
      const random = seeded(11);
      const driver = await trial().driver();
      for (let round = 0; round < times(60); round++) {
        const slot = 1 + Math.floor(random() * 9);
        let before = new Uint8Array();
        await trial().store.spoil('state', slot, (batch) => {
          before = Uint8Array.from(batch);
          const changed = Uint8Array.from(batch);
          const at = Math.floor(random() * changed.length);
          changed[at] = (changed[at] ?? 0) ^ (1 << Math.floor(random() * 8));
          return changed;
        });
        expect((await verifyLog(driver)).bad).toMatchObject({ partition: 'state', slot });
        await trial().store.spoil('state', slot, () => before);
      }
      expect((await verifyLog(driver)).bad).toBeUndefined();
    });

    it('finds batches that were dropped, exchanged or cut', async () => {
      await written();
      const driver = await trial().driver();
      const slots = new Map<number, Uint8Array>();
      for await (const { slot, batch } of driver.read('state', 1)) slots.set(slot, batch);
      const put = (slot: number, from: number): Promise<void> =>
        trial().store.spoil('state', slot, () => slots.get(from));
      await put(4, 5);
      expect((await verifyLog(driver)).bad).toMatchObject({ slot: 4 });
      await put(4, 0);
      expect((await verifyLog(driver)).bad).toMatchObject({ slot: 4, reason: 'it is missing' });
      await put(4, 4);
      await trial().store.spoil('state', 7, (batch) => batch.subarray(0, -1));
      expect((await verifyLog(driver)).bad).toMatchObject({ slot: 7 });
      await put(7, 7);
      await put(1, 0);
      expect((await verifyLog(driver)).bad).toMatchObject({ slot: 1 });
    });
  });

  describe('a damaged log', () => {
    it('serves what precedes, and refuses to write, naming the slot', async () => {
      await written();
      await trial().store.spoil('state', 5, (batch) => batch.map((byte, i) => (i === 100 ? byte ^ 1 : byte)));
      const sink = keepingSink();
      const log = await trial().log({ sink });
      expect((await collect(log.state.history(0))).map(numberOf)).toEqual([1, 2, 3, 4]);
      const append = log.state.append([{ stream: 'b-1', expected: 0, facts: [happened(1)] }], cause);
      await expect(append).rejects.toMatchObject({
        code: 'damaged',
        message: expect.stringMatching(/state log is damaged at slot 5/) as string,
      });
      expect(log.stats().state.damage).toMatch(/^slot 5: /);
      expect(sink.lines.filter((line) => line.includes('damaged'))).toHaveLength(1);
      expect(await add(log.audit, 'b-1', 1)).toBe(1);
    });

    it('is found by a handle that was open before', async () => {
      const [one, other] = [await trial().log(), await trial().log()];
      await add(one.state, 'a-1', 1);
      await add(one.state, 'a-1', 2);
      await trial().store.spoil('state', 2, () => Buffer.from('not a batch'));
      expect(await other.state.head()).toBe(1);
      const append = other.state.append([{ stream: 'b-1', expected: 0, facts: [happened(1)] }], cause);
      await expect(append).rejects.toMatchObject({ code: 'damaged' });
    });
  });
}
