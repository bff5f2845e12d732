import { firstValueFrom, take, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { realWorld } from '../base/world.ts';
import type { Cause, Fact } from './event.ts';
import { memoryLog } from './memory-log.ts';
import { collect } from './testing.ts';
import { uuidV7 } from './uuid-v7.ts';

const cause: Cause = { at: '2026-01-01T00:00:00.000Z', actor: 'user:test', requestId: 'r1' };
const fact = (n: number): Fact => ({ type: 'test.happened', data: { n } });

describe('the memory log', () => {
  it('appends to several streams at once, and reads one back', async () => {
    const { state } = memoryLog();
    const position = await state.append(
      [
        { stream: 'a-1', expected: 0, facts: [fact(1), fact(2)] },
        { stream: 'b-1', expected: 0, facts: [fact(3)] },
      ],
      cause,
    );
    expect(position).toBe(3);
    const events = await collect(state.read('a-1'));
    expect(events.map((e) => [e.revision, e.position, e.fact])).toEqual([
      [1, 1, fact(1)],
      [2, 2, fact(2)],
    ]);
  });

  it('tells by its id where an append is, and of no other', async () => {
    const { state } = memoryLog();
    const write = (expected: number) => ({ stream: 'a-1', expected, facts: [fact(1), fact(2)] }) as const;
    const ids = [uuidV7(realWorld), uuidV7(realWorld)] as const;
    for (const [n, id] of ids.entries()) await state.append([write(2 * n)], cause, { id });
    expect(await state.appended(ids[0], 0)).toBe(2);
    expect(await state.appended(ids[1], 0)).toBe(4);
    expect(await state.appended(ids[0], 1)).toBe(2);
    expect(await state.appended(ids[0], 2)).toBeUndefined();
    expect(await state.appended(uuidV7(realWorld), 0)).toBeUndefined();
  });

  it('refuses an append of nothing, and one whose id is not one', async () => {
    const { state } = memoryLog();
    const write = { stream: 'a-1', expected: 0, facts: [fact(1)] } as const;
    const refused = (message: RegExp) => ({
      code: 'bad_request',
      message: expect.stringMatching(message) as string,
    });
    await expect(state.append([{ ...write, facts: [] }], cause)).rejects.toMatchObject(
      refused(/at least one fact/),
    );
    await expect(state.append([], cause)).rejects.toMatchObject(refused(/at least one fact/));
    for (const id of ['x', '00000000-0000-4000-8000-000000000000'])
      await expect(state.append([write], cause, { id })).rejects.toMatchObject(refused(/version 7/));
    expect(await state.head()).toBe(0);
  });

  it('follows history and then what comes', async () => {
    const { state } = memoryLog();
    await state.append([{ stream: 'a-1', expected: 0, facts: [fact(1)] }], cause);
    const seen = firstValueFrom(state.follow(0).pipe(take(2), toArray()));
    await state.append([{ stream: 'a-1', expected: 1, facts: [fact(2)] }], cause);
    expect((await seen).map((e) => e.fact)).toEqual([fact(1), fact(2)]);
  });

  it('seals secrets', async () => {
    const { state } = memoryLog();
    const secrets = { seed: Buffer.from('secret') };
    await state.append([{ stream: 'a-1', expected: 0, facts: [{ ...fact(1), secrets }] }], cause);
    const [event] = await collect(state.read('a-1'));
    if (!event) throw new Error('nothing was read');
    expect(JSON.stringify(event)).not.toContain('secret"');
    expect(Buffer.from(await state.unseal(event, 'seed')).toString()).toBe('secret');
  });
});
