import { hash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { realWorld } from '../../src/base/world.ts';
import { type Authenticity, readAuthenticity } from '../../src/log/authenticity.ts';
import { decodeBatch, encodeBatch } from '../../src/log/batch.ts';
import type { Partition } from '../../src/log/event.ts';
import { openHeadSigner, readLogKeys } from '../../src/log/log-key.ts';
import { appendSignedHead, newestHead } from '../../src/log/signed-head-append.ts';
import { rewritten, signNow, stranger } from '../../src/log/signed-head-testing.ts';
import { collect, collectUntil } from '../../src/log/testing.ts';
import { uuidV7 } from '../../src/log/uuid-v7.ts';
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

  describe('signing heads', () => {
    it('is done by one of several that try at once, with one key', async () => {
      const logs = await Promise.all([trial().log(), trial().log(), trial().log()]);
      const [first] = logs;
      await add(first.audit, 'a-1', 1);
      await Promise.all(logs.map((log) => log.audit.head()));
      const signers = await Promise.all(logs.map((log) => openHeadSigner(log.state, cause)));
      expect(new Set(signers.map(({ key }) => key.publicKey)).size).toBe(1);
      expect(await readLogKeys(first.state)).toHaveLength(1);
      const made = await Promise.all(
        logs.map(async (log, i) => {
          const newest = await newestHead(log.audit, 'audit');
          const signer = signers[i] ?? expect.unreachable();
          return newest.head ? undefined : appendSignedHead(log, 'audit', newest, signer, cause);
        }),
      );
      expect(made.filter((one) => one !== undefined)).toHaveLength(1);
      expect(await first.audit.revision('heads-audit')).toBe(1);
      expect((await verifyLog(await trial().driver())).findings).toEqual([]);
    });

    it('finds a chain that was written anew, and a tail that was cut off', async () => {
      const log = await trial().log();
      for (let n = 1; n <= 6; n++) await add(log.audit, `a-${n % 2}`, n, 'as it was');
      const head = await signNow(log, 'audit');
      await add(log.audit, 'a-1', 7);
      await log.close();
      const driver = await trial().driver();
      const verify = (): ReturnType<typeof verifyLog> =>
        verifyLog(driver, { witnessed: [{ head, source: 'a witness' }] });
      expect((await verify()).findings).toEqual([]);
      const whole = (await collect(driver.read('audit', 1))).map((one) => [one.slot, one.batch] as const);
      const put = async (slots: Iterable<readonly [number, Uint8Array]>): Promise<void> => {
        for (const [slot, batch] of slots) await trial().store.spoil('audit', slot, () => batch);
      };
      await put(rewritten(whole.slice(2), 'as it was', 'not so'));
      const changed = await verify();
      expect(changed.bad).toBeUndefined();
      // By the head on the log, and by the one that was kept elsewhere.
      expect(changed.findings).toMatchObject([
        { partition: 'audit', slot: 6 },
        { partition: 'audit', slot: 6 },
      ]);
      await put(whole);
      for (const slot of [8, 7, 6]) await trial().store.spoil('audit', slot, () => undefined);
      expect((await verify()).findings).toMatchObject([{ partition: 'audit', slot: 6 }]);
    });
  });

  describe('a batch written without the key', () => {
    /** After the newest batch, directly in the store, as anybody with write access to it could. */
    async function forge(partition: Partition, authenticity?: Authenticity): Promise<number> {
      const driver = await trial().driver();
      const { head } = await driver.bounds(partition);
      const [stored] = await collect(driver.read(partition, head));
      const last = decodeBatch(stored?.batch ?? expect.unreachable());
      const id = uuidV7(realWorld);
      const event = JSON.stringify({
        ...{
          id,
          stream: 'mallory-1',
          type: 'trial.happened',
          actor: 'admin',
          requestId: 'r',
          data: { n: 0 },
        },
        ...{ revision: 1, at: cause.at },
      });
      const firstPosition = last.firstPosition + last.events.length;
      const header = { partition, slot: head + 1, firstPosition, previous: last.hash, id, writer: 'w' };
      const made = encodeBatch(header, [event], authenticity);
      const after = { slot: head, hash: last.hash };
      expect(await driver.append(partition, after, made)).toEqual({ status: 'committed' });
      return head + 1;
    }

    it.each(['state', 'presence', 'audit'] as const)(
      'is refused in %s by who has the log open, who opens it and who verifies it',
      async (partition) => {
        for (const by of [undefined, stranger]) {
          const log = await trial().log();
          await add(log[partition], 'a-1', 1);
          const slot = await forge(partition, by);
          const refused = { code: 'damaged', message: expect.stringMatching(/keyring/) as string };
          await expect(log[partition].head()).rejects.toMatchObject(refused);
          await expect(add(log[partition], 'a-1', 2)).rejects.toMatchObject(refused);
          const later = await trial().log();
          expect(later.stats()[partition].damage).toMatch(new RegExp(`^slot ${slot}: .*keyring`));
          const driver = await trial().driver();
          const { vault } = driver;
          const authenticity = await readAuthenticity({ vault, keyring: trial().keyring });
          expect((await verifyLog(driver, { authenticity })).bad).toMatchObject({ partition, slot });
          await trial().store.spoil(partition, slot, () => undefined);
        }
      },
    );

    it('is told in a snapshot as well', async () => {
      const log = await trial().log();
      await add(log.state, 'a-1', 1);
      const views = [{ name: 'trial.1', position: 1, state: { admin: 'alice' } }];
      await log.takeSnapshot('state', views, { trim: false }, cause);
      const { snapshots } = await trial().driver();
      const key = (await snapshots.list('state/')).find((one) => one.endsWith('/manifest')) ?? '';
      const text = Buffer.from((await snapshots.get(key)) ?? [])
        .subarray(32)
        .toString()
        .replace(/,"mac":"[0-9a-f]{64}"/, '');
      await snapshots.remove(key);
      await snapshots.create(key, Buffer.concat([hash('sha256', text, 'buffer'), Buffer.from(text)]));
      const sink = keepingSink();
      const later = await trial().log({ sink });
      expect(await later.state.snapshot('trial.1')).toBeUndefined();
      expect(sink.lines.join()).toContain('it has no MAC, and those of this log have one');
      expect(await later.state.head()).toBe(2);
    });
  });

  describe('a log that a newer version wrote', () => {
    it('is refused as such, not as damaged', async () => {
      await written();
      const content = Buffer.concat([Buffer.of(3), Buffer.alloc(100, 'newer')]);
      const newer = Buffer.concat([content, hash('sha256', content, 'buffer')]);
      await trial().store.spoil('state', 9, () => newer);
      await expect(trial().log()).rejects.toMatchObject({
        code: 'misconfigured',
        message: expect.stringMatching(
          /^slot 9 of the state log .* by a newer version of teleport/,
        ) as string,
      });
    });
  });

  describe('a damaged log', () => {
    it('serves what precedes, and refuses to write, naming the slot', async () => {
      await written();
      await trial().store.spoil('state', 5, (batch) => batch.map((byte, i) => (i === 100 ? byte ^ 1 : byte)));
      const sink = keepingSink();
      const log = await trial().log({ sink });
      expect((await collectUntil(log.state.history(0), 'damaged')).map(numberOf)).toEqual([1, 2, 3, 4]);
      for (const ask of [
        () => log.state.head(),
        () => log.state.revision('a-1'),
        () => collect(log.state.read('a-1')),
      ])
        await expect(ask()).rejects.toMatchObject({ code: 'damaged' });
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
      await expect(other.state.head()).rejects.toMatchObject({ code: 'damaged' });
      expect(other.stats().state.position).toBe(1);
      const append = other.state.append([{ stream: 'b-1', expected: 0, facts: [happened(1)] }], cause);
      await expect(append).rejects.toMatchObject({ code: 'damaged' });
    });
  });
}
