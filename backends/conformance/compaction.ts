import { firstValueFrom, lastValueFrom, NEVER, take, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { StreamName } from '../../src/log/event.ts';
import type { ClusterLog } from '../../src/log/event-log.ts';
import type { BlobStore } from '../../src/log/slot-driver.ts';
import { collect } from '../../src/log/testing.ts';
import { verifyLog } from '../../src/log/verify.ts';
import { add, cause, happened, keepingSink, numberOf, type Trial } from './trial.ts';

/** Keeps a view that counts, at the newest position. */
async function snapshot(log: ClusterLog, trim: boolean): ReturnType<ClusterLog['takeSnapshot']> {
  const position = await log.presence.head();
  const views = [{ name: 'count.1', position, state: { count: position } }];
  return log.takeSnapshot('presence', views, { trim }, cause);
}

async function addMany(log: ClusterLog, from: number, to: number): Promise<void> {
  const revisions = new Map<StreamName, number>();
  for (let n = from; n <= to; n++) {
    const stream: StreamName = `p-${n % 3}`;
    // Asked once: nobody else writes them meanwhile, and a store may take its time to answer.
    const expected = revisions.get(stream) ?? (await log.presence.revision(stream));
    await log.presence.append([{ stream, expected, facts: [happened(n)] }], cause);
    revisions.set(stream, expected + 1);
  }
}

async function overwrite(blobs: BlobStore, key: string, value: Uint8Array): Promise<void> {
  await blobs.remove(key);
  await blobs.create(key, value);
}

export function describeSnapshots(trial: () => Trial): void {
  describe('a snapshot', () => {
    it('is what opening begins from', async () => {
      const log = await trial().log();
      await addMany(log, 1, 20);
      await snapshot(log, false);
      await addMany(log, 21, 25);
      const later = await trial().log();
      expect(await later.presence.head()).toBe(26);
      expect(await later.presence.revision('p-1')).toBe(9);
      expect(await later.presence.snapshot('count.1')).toEqual({ position: 20, state: { count: 20 } });
      expect(await later.presence.snapshot('unknown.1')).toBeUndefined();
      expect((await collect(later.presence.read('p-1'))).map(numberOf)).toEqual([
        1, 4, 7, 10, 13, 16, 19, 22, 25,
      ]);
      expect(await add(later.presence, 'p-1', 99)).toBe(27);
    });

    it('is kept twice, and only the slots that neither needs are trimmed', async () => {
      const log = await trial().log();
      const trimmed: unknown[] = [];
      for (const upTo of [100, 200, 300]) {
        await addMany(log, upTo - 99, upTo);
        const taken = await snapshot(log, true);
        trimmed.push(taken.status === 'taken' ? taken.trimmedBefore : taken.status);
      }
      // Signposts are at every 64th slot: the second of three snapshots needs the events after slot 201.
      expect(trimmed).toEqual([undefined, 65, 193]);
      const { snapshots } = await trial().driver();
      const manifests = (await snapshots.list('presence/')).filter((key) => key.endsWith('manifest'));
      expect(manifests).toHaveLength(2);
      expect((await verifyLog(await trial().driver())).bad).toBeUndefined();
    });

    it('that is damaged is passed over for the one before', async () => {
      const log = await trial().log();
      await addMany(log, 1, 10);
      await snapshot(log, true);
      await addMany(log, 11, 20);
      await snapshot(log, true);
      await addMany(log, 21, 30);
      const driver = await trial().driver();
      const newest = (await driver.snapshots.list('presence/')).at(-1)?.split('/')[1] ?? '';
      for (const part of ['manifest', 'view/count.1']) {
        const key = `presence/${newest}/${part}`;
        const sound = Buffer.from((await driver.snapshots.get(key)) ?? []);
        // Another number: it still reads as a snapshot, and only its digest reveals the change.
        const at = sound.indexOf('"position":') + '"position":'.length;
        const spoilt = Buffer.from(sound);
        spoilt[at] = '9'.charCodeAt(0);
        await overwrite(driver.snapshots, key, spoilt);
        const sink = keepingSink();
        const opened = await trial().log({ sink });
        expect(await opened.presence.head()).toBe(32);
        expect(await opened.presence.revision('p-0')).toBe(10);
        expect(await opened.presence.snapshot('count.1')).toEqual({ position: 10, state: { count: 10 } });
        expect(sink.lines.join('\n')).toContain('a snapshot is passed over');
        const { partitions } = await verifyLog(driver);
        expect(partitions[1]?.damagedSnapshots).toHaveLength(1);
        await overwrite(driver.snapshots, key, sound);
      }
    });

    it('of a store that was put back is not believed', async () => {
      const log = await trial().log();
      await addMany(log, 1, 5);
      await snapshot(log, false);
      await trial().store.spoil('presence', 6, () => undefined);
      const opened = await trial().log();
      expect(await opened.presence.head()).toBe(5);
      expect((await verifyLog(await trial().driver())).bad).toMatchObject({ partition: 'presence', slot: 6 });
      // After rewriting, the slot holds another batch than the one the snapshot was taken at.
      expect(await add(opened.presence, 'p-9', 1)).toBe(6);
      const again = await trial().log();
      expect(await again.presence.revision('compaction-presence')).toBe(0);
      expect(await again.presence.revision('p-9')).toBe(1);
      expect((await verifyLog(await trial().driver())).bad).toMatchObject({
        slot: 6,
        reason: 'it is not the batch that the snapshot was taken at',
      });
    });

    it('gives nothing up when another process has begun one since', async () => {
      let open: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => {
        open = resolve;
      });
      const slow = await trial().log({
        wrap: (d) => ({
          ...d,
          snapshots: {
            ...d.snapshots,
            create: async (...args) => {
              await gate;
              return d.snapshots.create(...args);
            },
          },
        }),
      });
      const other = await trial().log();
      await addMany(slow, 1, 70);
      const superseded = snapshot(slow, true);
      // It has its epoch once the fact is there.
      await firstValueFrom(other.presence.follow(70));
      const taken: unknown[] = [];
      for (const upTo of [170, 270]) {
        await addMany(other, upTo - 99, upTo);
        taken.push((await snapshot(other, true)).status);
      }
      open();
      expect(await superseded).toEqual({ status: 'superseded' });
      expect(taken).toEqual(['taken', 'taken']);
      expect((await verifyLog(await trial().driver())).bad).toBeUndefined();
    });

    it('is taken by one of two who try at once', async () => {
      const logs = [await trial().log(), await trial().log()] as const;
      await addMany(logs[0], 1, 10);
      await logs[1].presence.head();
      const results = await Promise.all(logs.map((log) => snapshot(log, true)));
      expect(results.filter((one) => one.status === 'taken').length).toBeGreaterThan(0);
      await addMany(logs[1], 11, 15);
      expect(await collect((await trial().log()).presence.history(0))).toHaveLength(
        15 + (await logs[0].presence.revision('compaction-presence')),
      );
    });
  });

  describe('following across a trim', () => {
    const trimmed = async (): Promise<{ log: ClusterLog; first: number }> => {
      const log = await trial().log();
      for (const upTo of [100, 200, 300]) {
        await addMany(log, upTo - 99, upTo);
        await snapshot(log, true);
      }
      const driver = await trial().driver();
      for await (const { slot } of driver.read('presence', 1)) return { log, first: slot };
      throw new Error('everything was trimmed');
    };

    it('refuses a position whose events are gone, and delivers every other', async () => {
      // It saw everything, and holds an index of deleted slots.
      const witness = await trial().log({ recentBytes: 1, pollMs: 20 });
      witness.presence.follow(0).subscribe();
      const { log, first } = await trimmed();
      await witness.presence.head();
      await expect(collect(witness.presence.read('p-1'))).rejects.toMatchObject({ code: 'cursor_too_old' });
      await expect(collect(witness.presence.read('p-1', 55))).rejects.toMatchObject({
        code: 'cursor_too_old',
      });
      expect(first).toBeGreaterThan(1);
      const fresh = await trial().log();
      for (const { presence } of [log, fresh]) {
        const head = await presence.head();
        for (const after of [0, 1, first - 2])
          await expect(lastValueFrom(presence.follow(after))).rejects.toMatchObject({
            code: 'cursor_too_old',
          });
        for (const after of [first - 1, first, head - 1]) {
          const rest = await firstValueFrom(presence.follow(after).pipe(take(head - after), toArray()));
          expect(rest.map((e) => e.position)).toEqual(rest.map((_, i) => after + 1 + i));
        }
        await expect(collect(presence.history(0))).rejects.toMatchObject({ code: 'cursor_too_old' });
        await expect(collect(presence.read('p-1'))).rejects.toMatchObject({ code: 'cursor_too_old' });
        expect(await presence.revision('p-1')).toBe(100);
        const all = await collect(
          presence.history(await presence.positionBefore('1970-01-01T00:00:00.000Z')),
        );
        expect(all).toHaveLength(head - first + 1);
      }
    });

    it('goes on from a snapshot when slots were trimmed beneath a handle that slept', async () => {
      const sleeper = await trial().log({ pollMs: 1_000_000 });
      await add(sleeper.presence, 'p-0', 0);
      await trimmed();
      const head = await sleeper.presence.head();
      expect(head).toBe(304);
      expect(await add(sleeper.presence, 'p-1', 1)).toBe(305);
      expect((await verifyLog(await trial().driver())).bad).toBeUndefined();
    });

    it('tells a follower that slots were trimmed before it had them', async () => {
      const sleeper = await trial().log({ pollMs: 1_000_000, wrap: (d) => ({ ...d, hints: () => NEVER }) });
      await add(sleeper.presence, 'p-0', 0);
      const followed = lastValueFrom(sleeper.presence.follow(0));
      await firstValueFrom(sleeper.presence.follow(0));
      await trimmed();
      const refusal = expect(followed).rejects.toMatchObject({ code: 'cursor_too_old' });
      await sleeper.presence.head();
      await refusal;
    });
  });
}
