import { describe, expect, it } from 'vitest';
import { StartTurns } from './start-turns.ts';

const loopTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('turns of starting', () => {
  it('are one in a turn of the event loop, and go round those who wait', async () => {
    const turns = new StartTurns();
    const [many, few] = [{ name: 'many' }, { name: 'few' }];
    const started: string[] = [];
    const take = (of: { name: string }): void => {
      void turns.take(of).then(() => started.push(of.name));
    };
    for (let i = 0; i < 100; i++) take(many);
    take(few);
    take(few);
    expect(started).toEqual([]);
    const perTurn: number[] = [];
    for (let i = 0; i < 4; i++) {
      await loopTurn();
      perTurn.push(started.length);
    }
    expect(perTurn).toEqual([1, 2, 3, 4]);
    expect(started).toEqual(['many', 'few', 'many', 'few']);
    while (started.length < 102) await loopTurn();
    expect(started.slice(4).every((name) => name === 'many')).toBe(true);
  });
  it('do not come to who has left, and the others have theirs', async () => {
    const turns = new StartTurns();
    const [gone, stays] = [{}, {}];
    const leaving = new AbortController();
    const started: string[] = [];
    const outcomes = Array.from({ length: 100 }, () =>
      turns.take(gone, leaving.signal).then(
        () => void started.push('gone'),
        (e: unknown) => e,
      ),
    );
    for (let i = 0; i < 3; i++) void turns.take(stays).then(() => started.push('stays'));
    await loopTurn();
    expect(started).toEqual(['gone']);
    leaving.abort();
    const [first, ...dropped] = await Promise.all(outcomes);
    expect(first).toBeUndefined();
    for (const e of dropped) expect(e).toMatchObject({ name: 'CodedError', code: 'unavailable' });
    for (let i = 0; i < 4; i++) await loopTurn();
    expect(started).toEqual(['gone', 'stays', 'stays', 'stays']);
    await expect(turns.take(gone, leaving.signal)).rejects.toThrow('left before it was started');
    await turns.take(gone);
  });
  it('begin again after nobody waited', async () => {
    const turns = new StartTurns();
    const me = {};
    await turns.take(me);
    await loopTurn();
    await turns.take(me);
  });
  it('let who comes in the midst of others have the next but one', async () => {
    const turns = new StartTurns();
    const [first, late] = [{}, {}];
    const started: string[] = [];
    for (let i = 0; i < 10; i++) void turns.take(first).then(() => started.push('first'));
    await loopTurn();
    await turns.take(late).then(() => started.push('late'));
    expect(started.indexOf('late')).toBeLessThanOrEqual(2);
  });
});
