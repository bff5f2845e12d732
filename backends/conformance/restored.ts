import { firstValueFrom, lastValueFrom } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { uuidV7 } from '../../src/log/uuid-v7.ts';
import { realWorld } from '../../src/base/world.ts';
import type { ClusterLog } from '../../src/log/event-log.ts';
import { logTrouble } from '../../src/log/log-trouble.ts';
import type { SlotDriver } from '../../src/log/slot-driver.ts';
import { collect } from '../../src/log/testing.ts';
import { verifyLog } from '../../src/log/verify.ts';
import { withCommitFaults } from './faults.ts';
import { add, cause, happened, keepingSink, numberOf, type Trial } from './trial.ts';

const wentBack = { code: 'unavailable', message: expect.stringContaining('the store went back') as string };

/** Every read on which somebody bases a decision, and every write. */
const decisions = (log: ClusterLog): readonly (() => Promise<unknown>)[] => [
  () => log.state.head(),
  () => log.state.revision('a-1'),
  () => collect(log.state.read('a-1')),
  () => collect(log.state.history(0)),
  () => log.state.snapshot('count.1'),
  () => firstValueFrom(log.state.follow(0)),
  () => log.state.append([{ stream: 'a-9', expected: 0, facts: [happened(1)] }], cause),
];

async function fill(log: ClusterLog, from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n++) await add(log.state, 'a-1', n);
}

/** A driver that returns spoilt bytes for a slot while `bad` returns true. */
const withSpoiltAnswers = (driver: SlotDriver, slot: number, bad: () => boolean): SlotDriver => ({
  ...driver,
  read: async function* (...args) {
    for await (const stored of driver.read(...args))
      yield stored.slot === slot && bad() ? { slot, batch: stored.batch.map((byte) => byte ^ 1) } : stored;
  },
});

export function describeRestored(trial: () => Trial): void {
  describe('a store that is put back to an earlier state', () => {
    it('is noticed by whoever knew more: nothing is decided or written, and it says so', async () => {
      const sink = keepingSink();
      const [knowing, other] = [await trial().log({ sink }), await trial().log()];
      await fill(knowing, 1, 4);
      const putBack = await trial().store.save();
      await fill(knowing, 5, 7);
      await other.state.head();
      await putBack();
      for (const log of [knowing, other]) {
        for (const decide of decisions(log)) await expect(decide()).rejects.toMatchObject(wentBack);
        expect(log.stats().state.wentBack).toContain(
          'state log was read up to slot 7, and ends at slot 4 now',
        );
        expect(logTrouble(log)).toContain('tctl log recover');
        // Another partition lost nothing.
        expect(log.stats().audit.wentBack).toBeUndefined();
      }
      expect(sink.lines.filter((line) => line.includes('went back'))).toHaveLength(1);
      expect((await verifyLog(await trial().driver())).bad).toBeUndefined();
    });

    it('is noticed by a writer that reads nothing before it writes', async () => {
      const log = await trial().log({ pollMs: 1_000_000 });
      const putBack = await trial().store.save();
      await log.state.append([{ stream: 'a-1', expected: 0, facts: [happened(1)] }], cause);
      await putBack();
      const append = log.state.append([{ stream: 'a-1', expected: 1, facts: [happened(2)] }], cause);
      await expect(append).rejects.toMatchObject(wentBack);
      expect(await collect((await trial().driver()).read('state', 1))).toEqual([]);
    });

    it('is noticed as well after others have written on from what it held', async () => {
      const [knowing, behind] = [
        await trial().log({ pollMs: 1_000_000 }),
        await trial().log({ pollMs: 1_000_000 }),
      ];
      await fill(knowing, 1, 3);
      await behind.state.head();
      const putBack = await trial().store.save();
      await fill(knowing, 4, 6);
      await putBack();
      // It never knew the lost events, and continues: soon further than the other had come.
      await fill(behind, 4, 12);
      for (const decide of decisions(knowing)) await expect(decide()).rejects.toMatchObject(wentBack);
      expect(await behind.state.head()).toBe(12);
      expect((await collect(behind.state.read('a-1'))).map(numberOf)).toEqual([
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
      ]);
      expect((await verifyLog(await trial().driver())).bad).toBeUndefined();
    });

    it('is noticed as well where the newest slot that was known was given up since: it is no damage', async () => {
      const [knowing, behind] = [
        await trial().log({ pollMs: 1_000_000 }),
        await trial().log({ pollMs: 1_000_000 }),
      ];
      for (let n = 0; n < 3; n++) await add(knowing.presence, 'p-1', n);
      await behind.presence.head();
      const putBack = await trial().store.save();
      for (let n = 3; n < 5; n++) await add(knowing.presence, 'p-1', n);
      await putBack();
      for (let n = 3; n < 8; n++) await add(behind.presence, 'p-2', n);
      await behind.takeSnapshot('presence', [], { trim: false }, cause);
      await (await trial().driver()).trim('presence', 6);
      await expect(knowing.presence.head()).rejects.toMatchObject(wentBack);
      expect(await knowing.recover('presence', 'give back', cause)).toMatchObject({ status: 'given back' });
    });

    it('is told to followers, and is over when the store is as it was', async () => {
      const log = await trial().log({ pollMs: 20 });
      await fill(log, 1, 3);
      const before = await trial().store.save();
      await fill(log, 4, 6);
      const after = await trial().store.save();
      const followed = lastValueFrom(log.state.follow(0));
      await firstValueFrom(log.state.follow(5));
      const refusal = expect(followed).rejects.toMatchObject(wentBack);
      await before();
      await refusal;
      await after();
      expect(await log.state.head()).toBe(6);
      expect(log.stats().state.wentBack).toBeUndefined();
      await fill(log, 7, 8);
      expect((await verifyLog(await trial().driver())).bad).toBeUndefined();
    });

    it('is noticed at opening by what was known before', async () => {
      const log = await trial().log();
      await fill(log, 1, 3);
      const putBack = await trial().store.save();
      await fill(log, 4, 5);
      const { slot, hash } = log.stats().state;
      const known = { state: { slot, hash: Buffer.from(hash, 'hex') } };
      expect(await (await trial().log({ known })).state.head()).toBe(5);
      await putBack();
      const opened = await trial().log({ known });
      for (const decide of decisions(opened)) await expect(decide()).rejects.toMatchObject(wentBack);
      // Others continue from the store's content, past what was known: the slot holds another batch.
      await fill(await trial().log(), 4, 9);
      await expect((await trial().log({ known })).state.head()).rejects.toMatchObject(wentBack);
    });
  });

  describe('a writer that slept', () => {
    it('writes nothing below what was trimmed meanwhile, and goes on from a snapshot', async () => {
      const [sleeper, other] = [await trial().log({ pollMs: 1_000_000 }), await trial().log()];
      const beat = (log: ClusterLog, expected: number): Promise<number> =>
        log.presence.append([{ stream: 'p-sleeper', expected, facts: [happened(expected + 1)] }], cause);
      expect(await beat(sleeper, 0)).toBe(1);
      for (let round = 0; round < 3; round++) {
        for (let n = 0; n < 70; n++) await add(other.presence, 'p-other', n);
        await other.takeSnapshot('presence', [], { trim: true }, cause);
      }
      expect((await (await trial().driver()).bounds('presence')).floor).toBeGreaterThan(2);
      const head = await other.presence.head();
      // It knows its revision and reads nothing first.
      expect(await beat(sleeper, 1)).toBe(head + 1);
      expect(await other.presence.revision('p-sleeper')).toBe(2);
      expect((await verifyLog(await trial().driver())).bad).toBeUndefined();
    });
  });

  describe('damage that goes away', () => {
    it('of one answer is never believed', async () => {
      await fill(await trial().log(), 1, 5);
      let bad = 1;
      const sink = keepingSink();
      const log = await trial().log({ sink, wrap: (d) => withSpoiltAnswers(d, 3, () => bad-- > 0) });
      expect(await log.state.head()).toBe(5);
      expect(sink.lines.filter((line) => line.includes('damaged'))).toEqual([]);
    });

    it('that lasts stops every decision, and no longer than it lasts', async () => {
      const writer = await trial().log();
      await fill(writer, 1, 5);
      let bad = false;
      const log = await trial().log({ wrap: (d) => withSpoiltAnswers(d, 7, () => bad) });
      expect(await log.state.head()).toBe(5);
      bad = true;
      await fill(writer, 6, 8);
      for (const ask of [
        () => log.state.head(),
        () => log.state.revision('a-1'),
        () => collect(log.state.history(0)),
        () => log.state.append([{ stream: 'a-9', expected: 0, facts: [happened(1)] }], cause),
      ])
        await expect(ask()).rejects.toMatchObject({ code: 'damaged' });
      expect(log.stats().state.damage).toMatch(/^slot 7: /);
      bad = false;
      expect(await log.state.head()).toBe(8);
      expect(log.stats().state.damage).toBeUndefined();
      await fill(log, 9, 9);
    });
  });

  describe('the id of an append', () => {
    it('finds it again, also from another handle', async () => {
      let silent = true;
      const [lost, other] = [
        await trial().log({
          wrap: (d) => withCommitFaults(d, () => (silent ? 'lost request' : 'none')),
          settleMs: 30,
        }),
        await trial().log(),
      ];
      await fill(other, 1, 3);
      const ids = [1, 2, 3].map(() => uuidV7(realWorld));
      const facts = [happened(4), happened(5)];
      const append = (log: ClusterLog, n: number): Promise<number> =>
        log.state.append([{ stream: `b-${n}`, expected: 0, facts }], cause, { id: ids[n] });
      const after = await other.state.head();
      await expect(append(lost, 0)).rejects.toMatchObject({ code: 'ambiguous' });
      silent = false;
      const position = await append(other, 1);
      expect(await other.state.appended(ids[1] ?? '', after)).toBe(position);
      expect(await lost.state.appended(ids[1] ?? '', after)).toBe(position);
      expect(await lost.state.appended(ids[0] ?? '', after)).toBeUndefined();
      expect(await lost.state.appended(ids[2] ?? '', after)).toBeUndefined();
      await expect(
        lost.state.append([{ stream: 'b-9', expected: 0, facts }], cause, { id: 'no uuid' }),
      ).rejects.toMatchObject({ code: 'bad_request' });
    });
  });
}
