import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { WaitingLine, type Waiting } from './waiting-line.ts';

const stranger = (recent = 0): Waiting => ({ known: false, recent, isOver: () => false });
const known: Waiting = { known: true, recent: 99, isOver: () => false };

/** A line of whom one knows who is being served, in the order in which they were. */
function watched(places: ConstructorParameters<typeof WaitingLine>[0]) {
  const line = new WaitingLine(places);
  const served: string[] = [];
  const away: string[] = [];
  const ends = new Map<string, () => void>();
  return {
    served,
    away,
    come: async (name: string, who: Waiting): Promise<void> => {
      const done = await line.run(who, async () => {
        served.push(name);
        await new Promise<void>((end) => ends.set(name, end));
      });
      if (done === undefined) away.push(name);
    },
    end: async (name: string): Promise<void> => {
      await turn();
      ends.get(name)?.();
      await turn();
    },
  };
}

describe('a line before dear work', () => {
  it('keeps places that strangers cannot take', async () => {
    const line = watched({ served: 3, strangersServed: 2, waiting: 4, waitMs: 5_000 });
    for (const name of ['a', 'b', 'c', 'd']) void line.come(name, stranger());
    void line.come('owner', known);
    await turn();
    expect(line.served).toEqual(['a', 'b', 'owner']);
  });

  it('serves who is known before strangers who came earlier', async () => {
    const line = watched({ served: 2, strangersServed: 2, waiting: 4, waitMs: 5_000 });
    for (const name of ['a', 'b', 'c']) void line.come(name, stranger());
    void line.come('owner', known);
    await line.end('a');
    expect(line.served).toEqual(['a', 'b', 'owner']);
    await line.end('owner');
    expect(line.served).toEqual(['a', 'b', 'owner', 'c']);
  });

  it('serves first who came least, then who came first', async () => {
    const line = watched({ served: 1, strangersServed: 1, waiting: 4, waitMs: 5_000 });
    void line.come('a', stranger());
    for (const [name, recent] of [
      ['often', 9],
      ['b', 1],
      ['new', 0],
      ['new too', 0],
    ] as const)
      void line.come(name, stranger(recent));
    for (const name of ['a', 'new', 'new too', 'b']) await line.end(name);
    expect(line.served).toEqual(['a', 'new', 'new too', 'b', 'often']);
  });

  it('sends away who came most, not who comes last', async () => {
    const line = watched({ served: 1, strangersServed: 1, waiting: 2, waitMs: 5_000 });
    void line.come('a', stranger());
    void line.come('often', stranger(50));
    void line.come('oftener', stranger(60));
    void line.come('new', stranger());
    await turn();
    expect(line.away).toEqual(['oftener']);
    void line.come('oftenest', stranger(70));
    await turn();
    expect(line.away).toEqual(['oftener', 'oftenest']);
  });

  it('does nothing for those whom nobody waits for any more', async () => {
    const line = watched({ served: 1, strangersServed: 1, waiting: 4, waitMs: 5_000 });
    void line.come('a', stranger());
    void line.come('gave up', { ...stranger(), isOver: () => true });
    void line.come('b', stranger());
    await line.end('a');
    expect(line.served).toEqual(['a', 'b']);
    expect(line.away).toEqual(['gave up']);
  });

  it('sends away who has waited long enough, and keeps the places of the others', async () => {
    vi.useFakeTimers();
    try {
      const line = new WaitingLine({ served: 1, strangersServed: 1, waiting: 2, waitMs: 5_000 });
      const hangs = new Promise<never>(() => undefined);
      void line.run(stranger(), () => hangs);
      const [first, owner] = [stranger(), known].map((who) => line.run(who, () => Promise.resolve(1)));
      await vi.advanceTimersByTimeAsync(4_999);
      const later = line.run(stranger(), () => Promise.resolve(2));
      await vi.advanceTimersByTimeAsync(1);
      expect([await first, await owner]).toEqual([undefined, undefined]);
      expect(vi.getTimerCount()).toBe(1);
      await vi.advanceTimersByTimeAsync(5_000);
      expect(await later).toBeUndefined();
    } finally {
      vi.useRealTimers();
    }
  });

  it('gives places back, also of what fails', async () => {
    const line = new WaitingLine({ served: 1, strangersServed: 1, waiting: 1, waitMs: 5_000 });
    const failing = line.run(stranger(), () => Promise.reject(new Error('x')));
    const next = line.run(stranger(), () => Promise.resolve(1));
    await expect(failing).rejects.toThrow('x');
    await expect(next).resolves.toEqual({ result: 1 });
    await expect(line.run(stranger(), () => Promise.resolve(2))).resolves.toEqual({ result: 2 });
  });
});
