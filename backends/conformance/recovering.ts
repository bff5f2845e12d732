import { firstValueFrom } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { authenticityKeyId } from '../../src/log/authenticity.ts';
import { vaultKey } from '../../src/log/data-keys.ts';
import type { ClusterLog, EventLog } from '../../src/log/event-log.ts';
import type { Recorded, StreamName } from '../../src/log/event.ts';
import { collect } from '../../src/log/testing.ts';
import { verifyLog } from '../../src/log/verify.ts';
import { add, cause, happened, numberOf, type Trial } from './trial.ts';

async function fill(log: EventLog, stream: StreamName, from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n++) await add(log, stream, n);
}

const numbersIn = async (log: EventLog, stream: StreamName): Promise<number[]> =>
  (await collect(log.read(stream))).map(numberOf);

const toldIn = async (log: EventLog): Promise<Recorded['fact'][]> =>
  (await collect(log.read('recovery-state'))).map((event) => event.fact);

export function describeRecovering(trial: () => Trial): void {
  /** Two logs that know six events, on a store that was restored to three. */
  const wentBack = async (): Promise<readonly [ClusterLog, ClusterLog]> => {
    const both = [
      await trial().log({ pollMs: 1_000_000 }),
      await trial().log({ pollMs: 1_000_000 }),
    ] as const;
    await fill(both[0].state, 'a-1', 1, 3);
    const putBack = await trial().store.save();
    await fill(both[0].state, 'a-1', 4, 6);
    await both[1].state.head();
    await putBack();
    return both;
  };

  describe('recovering from a store that went back', () => {
    it('says what is known and what the store holds, and changes nothing', async () => {
      const [log] = await wentBack();
      expect(await log.recovery('audit')).toMatchObject({ status: 'whole', held: [] });
      const report = await log.recovery('state');
      expect(report).toMatchObject({ status: 'went back', known: 6, head: 3, common: 3, forgotten: 0 });
      expect(report.held.map(({ position, stream }) => [position, stream])).toEqual([
        [4, 'a-1'],
        [5, 'a-1'],
        [6, 'a-1'],
      ]);
      expect(await (await trial().driver()).bounds('state')).toEqual({ floor: 1, head: 3 });
    });

    it('gives back what is still known, byte for byte: everybody who knew it goes on', async () => {
      const [one, other] = await wentBack();
      expect(await one.recover('state', 'give back', cause)).toMatchObject({
        status: 'given back',
        lost: [],
        forgotten: 0,
      });
      for (const log of [one, other, await trial().log()]) {
        expect(await numbersIn(log.state, 'a-1')).toEqual([1, 2, 3, 4, 5, 6]);
        expect(log.stats().state.wentBack).toBeUndefined();
        expect(await toldIn(log.state)).toMatchObject([
          {
            type: 'log.recovered',
            data: { how: 'given back', known: { slot: 6 }, head: 3, givenBack: 3, lost: 0 },
          },
        ]);
      }
      expect(await other.recover('state', 'give back', cause)).toMatchObject({ status: 'was whole' });
      await fill(other.state, 'a-1', 7, 8);
      expect((await verifyLog(await trial().driver())).bad).toBeUndefined();
    });

    it('is done by two at once', async () => {
      const both = await wentBack();
      const done = await Promise.allSettled(both.map((log) => log.recover('state', 'give back', cause)));
      for (const { status } of done) expect(status).toBe('fulfilled');
      for (const log of both) expect(await numbersIn(log.state, 'a-1')).toEqual([1, 2, 3, 4, 5, 6]);
      expect((await verifyLog(await trial().driver())).bad).toBeUndefined();
    });

    it('gives back single events when others have written on, and names what has to be done again', async () => {
      const [log] = await wentBack();
      // In the lost part: a stream of its own, too.
      const late = await trial().log();
      await late.state.append(
        [
          { stream: 'b-1', expected: 0, facts: [happened(11)] },
          { stream: 'a-1', expected: 3, facts: [happened(40)] },
        ],
        cause,
      );
      const [before] = await collect(late.state.read('b-1'));
      const result = await log.recover('state', 'give back', cause);
      expect(result.givenBack).toEqual([]);
      expect(result.lost.map(({ position }) => position)).toEqual([4, 5, 6]);
      expect(await numbersIn(log.state, 'a-1')).toEqual([1, 2, 3, 40]);
      expect((await collect(log.state.read('b-1')))[0]).toEqual(before);
      expect((await toldIn(log.state))[0]?.data).toMatchObject({
        lost: 3,
        lostEvents: [{ position: 4 }, {}, {}],
      });
      await fill(log.state, 'a-1', 41, 42);
      expect((await verifyLog(await trial().driver())).bad).toBeUndefined();
    });

    it('gives back single events by several, each what the others do not know', async () => {
      const [less, more] = [
        await trial().log({ pollMs: 1_000_000 }),
        await trial().log({ pollMs: 1_000_000 }),
      ];
      await fill(more.state, 'a-1', 1, 3);
      const putBack = await trial().store.save();
      await fill(more.state, 'a-1', 4, 5);
      await less.state.head();
      await fill(more.state, 'a-1', 6, 7);
      await putBack();
      const late = await trial().log();
      await fill(late.state, 'c-1', 1, 1);
      expect(await less.recover('state', 'give back', cause)).toMatchObject({ lost: [] });
      // Two were written back by the other: events after them depend on something that is there again.
      expect(await more.recover('state', 'give back', cause)).toMatchObject({
        givenBack: [{ position: 4 }, { position: 5 }, { position: 6 }, { position: 7 }],
        lost: [],
      });
      for (const log of [less, more])
        expect(await numbersIn(log.state, 'a-1')).toEqual([1, 2, 3, 4, 5, 6, 7]);
      expect((await verifyLog(await trial().driver())).bad).toBeUndefined();
    });

    it('gives back all that it knows while another gives back the same, at any moment', async () => {
      for (let at = 1; ; at++) {
        let reads = 0;
        const meanwhile: (() => Promise<unknown>)[] = [];
        const one = await trial().log({
          pollMs: 1_000_000,
          wrap: (d) => ({
            ...d,
            read: async function* (...args) {
              if (++reads === at) for (const act of meanwhile) await act();
              yield* d.read(...args);
            },
          }),
        });
        const other = await trial().log({ pollMs: 1_000_000 });
        const putBack = await trial().store.save();
        for (let n = 1; n <= 3; n++) await add(one.state, `b-${at}`, n);
        await other.state.head();
        await putBack();
        // The branches diverge: lost events can only come back one by one.
        await add((await trial().log()).state, 'c-1', at);
        meanwhile.push(() => other.recover('state', 'give back', cause));
        reads = 0;
        const { lost } = await one.recover('state', 'give back', cause);
        expect(lost, `the other at read ${at}`).toEqual([]);
        if (reads < at) return;
        for (const log of [one, other]) expect(await numbersIn(log.state, `b-${at}`)).toEqual([1, 2, 3]);
      }
    });

    it('keeps the id and the secrets of an event that it gives back', async () => {
      const log = await trial().log({ pollMs: 1_000_000 });
      await fill(log.state, 'a-1', 1, 2);
      const putBack = await trial().store.save();
      const secret = Buffer.from('a secret');
      const facts = [{ ...happened(1), secrets: { key: secret } }];
      await log.state.append([{ stream: 'b-1', expected: 0, facts }], cause);
      const [event] = await collect(log.state.read('b-1'));
      const { vault } = await trial().driver();
      const key = (await vault.list('')).find((one) => one !== vaultKey(authenticityKeyId)) ?? '';
      const wrapped = (await vault.get(key)) ?? new Uint8Array();
      await putBack();
      // The vault went back as well. Here its key is found again, as in a backup of the vault alone.
      await vault.create(key, wrapped);
      await fill((await trial().log()).state, 'c-1', 1, 3);
      expect(await log.recover('state', 'give back', cause)).toMatchObject({
        givenBack: [{ stream: 'b-1' }],
        lost: [],
      });
      const [again] = await collect(log.state.read('b-1'));
      expect(again?.id).toBe(event?.id);
      if (again === undefined) throw new Error('it did not come back');
      expect(Buffer.from(await log.state.unseal(again, 'key'))).toEqual(secret);
    });

    it('goes on from what the store has, when that is wanted', async () => {
      const [log, other] = await wentBack();
      expect(await log.recover('state', 'go on', cause)).toMatchObject({
        status: 'went on',
        givenBack: [],
        lost: [{ position: 4 }, { position: 5 }, { position: 6 }],
      });
      expect(await numbersIn(log.state, 'a-1')).toEqual([1, 2, 3]);
      await fill(log.state, 'a-1', 4, 4);
      // Each decides for itself: the other still knows more.
      await expect(other.state.head()).rejects.toMatchObject({ code: 'unavailable' });
      await other.recover('state', 'go on', cause);
      expect(await numbersIn(other.state, 'a-1')).toEqual([1, 2, 3, 4]);
      expect((await verifyLog(await trial().driver())).bad).toBeUndefined();
    });

    it('tells who followed the lost branch, however far the log has come since', async () => {
      const [log, other] = await wentBack();
      await fill((await trial().log()).state, 'c-1', 1, 9);
      await log.recover('state', 'go on', cause);
      await other.recover('state', 'go on', cause);
      for (const { state } of [log, other]) {
        const [third] = await collect(state.read('a-1', 2));
        const id = third?.id ?? '';
        expect(await state.holds(3, id)).toBe(true);
        expect(await state.holds(4, id)).toBe(false);
        expect((await firstValueFrom(state.follow(3, id))).position).toBe(4);
        await expect(firstValueFrom(state.follow(4, id))).rejects.toMatchObject({ code: 'cursor_too_old' });
      }
    });

    it('goes on where nothing but a place was known', async () => {
      const writer = await trial().log();
      await fill(writer.state, 'a-1', 1, 3);
      const putBack = await trial().store.save();
      await fill(writer.state, 'a-1', 4, 5);
      const { slot, hash } = writer.stats().state;
      await putBack();
      const log = await trial().log({ known: { state: { slot, hash: Buffer.from(hash, 'hex') } } });
      expect(await log.recovery('state')).toMatchObject({
        status: 'went back',
        known: 5,
        head: 3,
        common: 3,
        forgotten: 2,
      });
      expect(await log.recover('state', 'go on', cause)).toMatchObject({ status: 'went on', forgotten: 2 });
      await fill(log.state, 'a-1', 4, 4);
    });

    it('tells followers to begin again from what the log is now', async () => {
      const [log] = await wentBack();
      const later = await trial().log();
      await fill(later.state, 'c-1', 1, 9);
      await log.recover('state', 'go on', cause);
      const streams = (await collect(log.state.history(0))).map(({ stream }) => stream);
      expect(streams).toEqual([
        'a-1',
        'a-1',
        'a-1',
        ...Array.from({ length: 9 }, () => 'c-1'),
        'recovery-state',
      ]);
    });
  });
}
