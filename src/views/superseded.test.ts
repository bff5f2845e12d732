import { describe, expect, it } from 'vitest';
import { recoveredStream, secretsDestroyed, secretsStream } from '../domain/superseded-secrets.ts';
import type { Fact, Recorded, StreamName } from '../log/event.ts';
import { supersededSince, type SupersededState, supersededView } from './superseded.ts';
import { recordedAt } from './testing.ts';
import { entriesOf } from './table.ts';

type Told = readonly [stream: StreamName, type: string, keyId?: string];
const event = ([stream, type, keyId]: Told, position: number): Recorded => ({
  ...recordedAt(position, stream, { type, data: {} }),
  ...(keyId !== undefined && { sealed: { secret: { keyId } as never } }),
});
const events = (...told: readonly Told[]): Recorded[] => told.map((one, i) => event(one, i + 1));
const fold = (all: readonly Recorded[], from: SupersededState = supersededView.initial): SupersededState =>
  all.reduce((at, one) => supersededView.apply(at, one), from);
const destroyed = (position: number, upTo: number): Recorded =>
  recordedAt(position, secretsStream, secretsDestroyed(upTo, 1));
const recovered = (position: number, data: Fact['data']): Recorded =>
  recordedAt(position, recoveredStream, { type: 'recovery.done', data });

const alice = events(
  ['user-alice', 'user.password_set', 'k1'],
  ['user-bob', 'user.password_set', 'b1'],
  ['user-alice', 'user.password_set', 'k2'],
  ['user-alice', 'user.deleted'],
);

describe('secrets that were superseded', () => {
  it('are doomed with what superseded them, the oldest first; others live on', () => {
    const once = fold(alice.slice(0, 3));
    expect(once.doomed).toEqual([{ keyId: 'k1', position: 3 }]);
    const all = fold(alice);
    expect(all.doomed).toEqual([
      { keyId: 'k1', position: 3 },
      { keyId: 'k2', position: 4 },
    ]);
    expect(entriesOf(all.live).map(([stream]) => stream)).toEqual(['user-bob']);
    expect(all.live.size).toBe(1);
  });

  it('are not looked for where nothing was sealed', () => {
    const before = fold(alice);
    expect(supersededView.apply(before, event(['user-carol', 'user.created'], 5))).toBe(before);
    expect(supersededView.apply(before, event(['user-bob', 'user.logged_in'], 5))).toBe(before);
  });

  it('are forgotten up to where they are known to be gone, and by nothing else', () => {
    const before = fold(alice);
    expect(fold([destroyed(5, 3)], before).doomed).toEqual([{ keyId: 'k2', position: 4 }]);
    expect(fold([destroyed(5, 4)], before).doomed).toEqual([]);
    const other: Fact = { type: 'secrets.other', data: { upTo: 4 } };
    const wordless: Fact = { type: 'secrets.destroyed', data: { upTo: '4' } };
    for (const fact of [other, wordless])
      expect(supersededView.apply(before, recordedAt(5, secretsStream, fact))).toBe(before);
    expect(supersededView.apply(before, destroyed(5, 2))).toBe(before);
  });

  it('may be there again after the store went back, from the first event on that it ever lost', () => {
    const back = fold([recovered(5, { firstLost: 4 })], fold(alice));
    expect(back.anew).toEqual({ position: 5, firstLost: 4 });
    expect(fold([recovered(6, { firstLost: 5 })], back).anew).toEqual({ position: 6, firstLost: 4 });
    expect(fold([recovered(6, { firstLost: 2 })], back).anew).toEqual({ position: 6, firstLost: 2 });
    expect(fold([recovered(6, {})], back).anew).toEqual({ position: 6, firstLost: 1 });
    // Also while others are superseded, and until what was said of it is known to be gone.
    expect(fold([event(['user-bob', 'user.deleted'], 6)], back).anew).toEqual(back.anew);
    expect(fold([destroyed(6, 4)], back).anew).toEqual(back.anew);
    expect(fold([destroyed(6, 5)], back)).toMatchObject({ anew: undefined, doomed: [] });
    const nothingDoomed = fold([destroyed(6, 4)], back);
    expect(supersededView.apply(nothingDoomed, destroyed(7, 4))).toBe(nothingDoomed);
  });

  it('are the same through a snapshot', () => {
    for (const state of [fold(alice), fold([recovered(5, { firstLost: 4 })], fold(alice))]) {
      const again = supersededView.decode(JSON.parse(JSON.stringify(supersededView.encode(state))));
      expect(again.anew).toEqual(state.anew);
      expect(again.doomed).toEqual(state.doomed);
      const last = event(['user-bob', 'user.deleted'], 9);
      expect(fold([last], again).doomed).toEqual([...state.doomed, { keyId: 'b1', position: 9 }]);
    }
  });
});

describe('secrets that a vault may have again', () => {
  const since = (all: readonly Recorded[], firstLost: number): Promise<string[]> =>
    supersededSince(
      (async function* () {
        for (const one of all) yield await Promise.resolve(one);
      })(),
      firstLost,
    );

  it('are all that were superseded, but those that were gone before the first event that was lost', async () => {
    const later = [
      destroyed(5, 3),
      ...events(['user-bob', 'user.deleted']).map((one) => ({ ...one, position: 6 })),
    ];
    const all = [...alice, ...later, destroyed(7, 6)];
    expect(await since(all, 1)).toEqual(['k1', 'k2', 'b1']);
    // What is said at the very event that was lost was lost.
    expect(await since(all, 5)).toEqual(['k1', 'k2', 'b1']);
    expect(await since(all, 6)).toEqual(['k2', 'b1']);
    expect(await since(all, 7)).toEqual(['k2', 'b1']);
    expect(await since(all, 8)).toEqual([]);
    const less = [...all, destroyed(8, 2)];
    expect(await since(less, 9)).toEqual([]);
  });
});
