import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonInTurns } from './json-in-turns.ts';

const none = (): undefined => undefined;

describe('JSON that is made in turns', () => {
  it('is the text that is made at once', async () => {
    const data = fc.oneof(
      fc.jsonValue({ maxDepth: 6 }),
      fc.anything({ withDate: true, maxDepth: 4, withNullPrototype: true }),
    );
    await fc.assert(
      fc.asyncProperty(data, async (value) => {
        expect((await jsonInTurns(value, none))?.join('')).toBe(JSON.stringify(value));
      }),
    );
    const large = {
      a: undefined,
      b: Array.from({ length: 1_001 }, (_, n) => (n % 7 === 0 ? undefined : { n })),
    };
    expect((await jsonInTurns({ state: large, none: undefined }, none))?.join('')).toBe(
      JSON.stringify({ state: large }),
    );
  });

  it('lets others have their turns within a large array, also in a state', async () => {
    let asked = 0;
    let waited = 0;
    const due = (): Promise<void> | undefined => {
      asked++;
      return Promise.resolve().then(() => {
        waited++;
      });
    };
    const items = Array.from({ length: 20_000 }, (_, n) => [`k${n}`, n]);
    const pieces = (await jsonInTurns({ position: 1, state: { known: items } }, due)) ?? [];
    expect(asked).toBeGreaterThan(100);
    expect(waited).toBe(asked);
    expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(10_000);
  });
});
