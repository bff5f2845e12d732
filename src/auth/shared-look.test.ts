import { describe, expect, it } from 'vitest';
import { sharedLook } from './shared-look.ts';

/** Looks that end when the test says so. */
function heldLooks(spacingMs: number) {
  let now = 0;
  const ends: { end: () => void; fail: (e: Error) => void }[] = [];
  const look = sharedLook(
    () => new Promise<void>((end, fail) => ends.push({ end, fail })),
    spacingMs,
    () => now,
  );
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return {
    look,
    ends,
    turn,
    advance: (ms: number) => {
      now += ms;
    },
  };
}

describe('a look at the store that many share', () => {
  it('serves all who ask while one is under way by the next one, begun after they asked', async () => {
    const { look, ends, turn } = heldLooks(0);
    const done: string[] = [];
    const ask = (name: string) => look().then(() => done.push(name));
    const first = ask('first');
    await turn();
    const others = Promise.all(['a', 'b', 'c'].map(ask));
    await turn();
    expect(ends).toHaveLength(1);
    ends[0]?.end();
    await first;
    await turn();
    expect([done, ends.length]).toEqual([['first'], 2]);
    ends[1]?.end();
    await others;
    expect(done).toEqual(['first', 'a', 'b', 'c']);
    expect(ends).toHaveLength(2);
  });

  it('tells those who waited for it why it failed, and goes on', async () => {
    const { look, ends, turn } = heldLooks(0);
    const first = look();
    await turn();
    const second = look();
    ends[0]?.fail(new Error('away'));
    await expect(first).rejects.toThrow('away');
    await turn();
    ends[1]?.end();
    await second;
  });

  it('begins again only when the spacing has passed', async () => {
    const { look, ends, turn, advance } = heldLooks(30);
    const first = look();
    await turn();
    ends[0]?.end();
    await first;
    const second = look();
    await turn();
    expect(ends).toHaveLength(1);
    advance(30);
    await expect.poll(() => ends.length).toBe(2);
    ends[1]?.end();
    await second;
  });
});
