import { describe, expect, it } from 'vitest';
import { inTurn } from './search-turns.ts';

/** A search that goes on until it is told to end. */
function held(log: object, caller: string, began: string[]) {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const ended = inTurn(log, caller, () => {
    began.push(caller);
    return promise;
  });
  return {
    ended,
    end: () => {
      resolve(undefined);
    },
  };
}
const turn = (): Promise<void> => new Promise(setImmediate);

describe('searches', () => {
  it('come one after the other, and who asks many times keeps nobody else waiting for all of them', async () => {
    const [log, began]: [object, string[]] = [{}, []];
    const all = ['amy', 'amy', 'amy', 'bob'].map((caller) => held(log, caller, began));
    await turn();
    expect(began).toEqual(['amy']);
    all[0]?.end();
    await turn();
    expect(began).toEqual(['amy', 'bob']);
    for (const one of all) one.end();
    await Promise.all(all.map(({ ended }) => ended));
    expect(began).toEqual(['amy', 'bob', 'amy', 'amy']);
  });

  it('are refused when very many wait, and not any more when these have ended', async () => {
    const [log, began]: [object, string[]] = [{}, []];
    const all = Array.from({ length: 16 }, (_, n) => held(log, `u${n}`, began));
    await expect(inTurn(log, 'late', () => Promise.resolve(1))).rejects.toMatchObject({
      ...{ code: 'unavailable', outcome: 'nothing' },
      retryAfterMs: 1_000,
    });
    for (const one of all) one.end();
    await Promise.all(all.map(({ ended }) => ended));
    expect(await inTurn(log, 'late', () => Promise.resolve(1))).toBe(1);
    await expect(inTurn(log, 'late', () => Promise.reject(new Error('x')))).rejects.toThrow('x');
    expect(await inTurn(log, 'late', () => Promise.resolve(2))).toBe(2);
  });
});
