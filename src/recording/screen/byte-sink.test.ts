import { describe, expect, it } from 'vitest';
import { ByteSink } from './byte-sink.ts';

describe('collected bytes', () => {
  it('are all there, in order, beyond the room that there is at first', () => {
    const sink = new ByteSink();
    const expected: number[] = [];
    for (let i = 0; i < 3_000; i++) {
      sink.add(i % 256);
      expected.push(i % 256);
    }
    const long = Buffer.alloc(5_000, 'x');
    sink.copy(long, 10, 4_990);
    sink.copy(Buffer.from('abc'), 1, 2);
    expected.push(...long.subarray(10, 4_990), 0x62);
    expect(sink.take().equals(Buffer.from(expected))).toBe(true);
  });

  it('are numbers in decimal, and those of before stay as they were taken', () => {
    const sink = new ByteSink();
    for (const one of [0, 7, 10, 65_535]) sink.addNumber(one);
    const before = sink.take();
    sink.addNumber(99);
    expect([before.toString(), sink.take().toString(), sink.take().length]).toEqual(['071065535', '99', 0]);
  });
});
