import { firstValueFrom, take, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { Cause, Fact } from './event.ts';
import { memoryLog } from './memory-log.ts';
import { collect } from './testing.ts';

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
