import { describe, expect, it } from 'vitest';
import { EventQueue } from './event-queue.ts';

describe('a stream whose events are put on record', () => {
  it('records in order, and holds the stream back until there is room', async () => {
    const taken: number[] = [];
    let open: () => void = () => undefined;
    const closed = new Promise<void>((resolve) => {
      open = resolve;
    });
    const queue = new EventQueue<number>(async (n) => {
      await closed;
      taken.push(n);
    });
    let next = 0;
    const gate = queue.gate((chunk) => {
      for (const byte of chunk) queue.add(byte + next++);
      return true;
    });
    const passed: number[] = [];
    gate.on('data', (chunk: Buffer) => passed.push(chunk.length));
    gate.write(Buffer.alloc(31));
    gate.write(Buffer.alloc(9));
    gate.write(Buffer.alloc(1));
    await new Promise((resolve) => setImmediate(resolve));
    expect(passed).toEqual([31]);
    open();
    await new Promise((resolve) => gate.end(resolve));
    await queue.settled();
    expect(passed).toEqual([31, 9, 1]);
    expect(taken).toEqual(Array.from({ length: 41 }, (_, i) => i));
  });
  it('holds a chunk back, unseen, until there is room for what it brings', async () => {
    let open: () => void = () => undefined;
    const room = new Promise<void>((resolve) => {
      open = resolve;
    });
    let full = true;
    const seen: number[] = [];
    const gate = new EventQueue<number>(() => Promise.resolve()).gate(
      (chunk) => {
        seen.push(...chunk);
        return true;
      },
      () => (full ? room : undefined),
    );
    gate.resume();
    gate.write(Buffer.of(1));
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toEqual([]);
    full = false;
    open();
    gate.write(Buffer.of(2));
    await new Promise((resolve) => gate.end(resolve));
    expect(seen).toEqual([1, 2]);
  });
  it('passes on nothing that is refused', async () => {
    const queue = new EventQueue<number>(() => Promise.resolve());
    const gate = queue.gate((chunk) => chunk[0] !== 1);
    const passed: number[] = [];
    gate.on('data', (chunk: Buffer) => passed.push(...chunk));
    for (const byte of [0, 1, 2]) gate.write(Buffer.of(byte));
    await new Promise((resolve) => gate.end(resolve));
    expect(passed).toEqual([0, 2]);
  });
});
