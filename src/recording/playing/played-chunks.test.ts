import { afterEach, describe, expect, it } from 'vitest';
import { CodedError } from '../../base/errors.ts';
import { outputOf, testKey } from '../testing.ts';
import type { PlayedChunks } from './played-chunks.ts';
import { chunksOf, emptyPlayed, output, playedOf } from './testing.ts';

let played: PlayedChunks;
afterEach(() => played[Symbol.asyncDispose]());

describe('chunks that are played', () => {
  it('are read in any order, and found by time and output', async () => {
    played = await playedOf([output(0, 'one')], [output(500, 'two')], [output(900, 'three')]);
    for (const [number, text] of [
      [2, 'three'],
      [0, 'one'],
      [1, 'two'],
    ] as const)
      expect(outputOf([...(await played.frames(number))])).toBe(text);
    expect([-1, 0, 499, 500, 899, 900, 9_999].map((ms) => played.find(ms))).toEqual([0, 0, 0, 1, 1, 2, 2]);
    expect([0, 1, 2, 3].map((number) => played.outputBefore(number))).toEqual([0, 3, 6, 11]);
    expect([played.count, played.isFinished, played.end.isOver]).toEqual([3, true, true]);
  });

  it('come while others wait for them', async () => {
    played = await emptyPlayed();
    const [first, second] = chunksOf([output(0, 'one')], [output(1, 'two')]);
    if (first === undefined || second === undefined) throw new Error('two chunks');
    const [one, two, over] = [played.more(0), played.more(1), played.more(2)];
    await played.append([first]);
    await one;
    await played.append([second]);
    await two;
    played.finish(new CodedError('unavailable', 'gone'));
    await over;
    expect(played.failure?.message).toBe('gone');
    played.finish();
    expect(played.failure?.message).toBe('gone');
  });

  it('that do not continue the chain, or do not open, are refused', async () => {
    played = await emptyPlayed(new Uint8Array(testKey.length));
    const all = chunksOf([output(0, 'one')], [output(1, 'two')]);
    await expect(played.append(all.slice(1))).rejects.toMatchObject({ code: 'damaged' });
    await played.append(all);
    await expect(played.frames(0)).rejects.toMatchObject({ code: 'damaged' });
    await expect(played.append(all)).rejects.toMatchObject({ code: 'damaged' });
  });
});
