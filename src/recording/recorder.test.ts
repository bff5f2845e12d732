import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Recorder } from './recorder.ts';
import { framesOf, MemorySink, outputOf, testAbout, testKey } from './testing.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

let sink: MemorySink;
function recorder(goesOn = false): Recorder {
  sink = new MemorySink();
  const world = { now: () => new Date().toISOString(), monotonic: () => performance.now() };
  return new Recorder({ about: testAbout, key: testKey, sink, world, goesOn: () => goesOn });
}
const output = (text: string) => ({ type: 'output', bytes: Buffer.from(text) }) as const;

describe('a recorder', () => {
  it('has the first chunk durable before the session begins', async () => {
    const recording = recorder();
    await recording.begin();
    expect(framesOf(sink.chunks)).toMatchObject([{ type: 'start', about: { user: 'alice' } }]);
  });

  it('does not begin where nothing can be written', async () => {
    const recording = recorder();
    sink.trouble = 'no_space';
    await expect(recording.begin()).rejects.toMatchObject({
      code: 'unavailable',
      message: 'the disk is full',
    });
  });

  it('writes what happened within half a second, and at 64 KiB at once', async () => {
    const recording = recorder();
    await recording.begin();
    recording.add(output('a'));
    await vi.advanceTimersByTimeAsync(400);
    expect(sink.chunks.length).toBe(1);
    await vi.advanceTimersByTimeAsync(100);
    expect(outputOf(framesOf(sink.chunks))).toBe('a');
    recording.add(output('b'.repeat(70_000)));
    await vi.advanceTimersByTimeAsync(0);
    expect(outputOf(framesOf(sink.chunks)).length).toBe(70_001);
  });

  it('keeps times, and says at the end where the chain ends and how much it has', async () => {
    const recording = recorder();
    await recording.begin();
    await vi.advanceTimersByTimeAsync(1_000);
    recording.add(output('x'));
    recording.add({ type: 'resize', columns: 100, rows: 30 });
    await vi.advanceTimersByTimeAsync(250);
    recording.add(output('yz'));
    const end = await recording.end('0');
    expect(end).toEqual({
      chunks: 2,
      head: sink.chunks.at(-1)?.hash.toString('hex'),
      bytes: 3,
      lostBytes: 0,
    });
    expect(framesOf(sink.chunks).map(({ type, atMs }) => [type, atMs])).toEqual([
      ['start', 0],
      ['output', 1_000],
      ['resize', 1_000],
      ['output', 1_250],
      ['end', 1_250],
    ]);
    expect([sink.isClosed, sink.chunks.at(-1)?.head.isLast]).toEqual([true, true]);
    expect(await recording.end('0')).toEqual(end);
  });

  it('asks for patience while the disk is slow, and loses nothing', async () => {
    const recording = recorder();
    await recording.begin();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    sink.hold = promise;
    let written = 0;
    const noise = (i: number): string =>
      Buffer.from(Array.from({ length: 50_000 }, (_, k) => (i * k * 7919) % 256)).toString('latin1');
    while (recording.room() === undefined && written < 200) {
      recording.add(output(noise(written)));
      written++;
      await vi.advanceTimersByTimeAsync(0);
    }
    const room = recording.room();
    expect(room).toBeDefined();
    resolve(undefined);
    await room;
    expect(recording.room()).toBeUndefined();
    const { bytes, lostBytes } = await recording.end('0');
    const all = Array.from({ length: written }, (_, i) => output(noise(i)).bytes);
    expect([bytes, lostBytes]).toEqual([Buffer.concat(all).length, 0]);
    expect(outputOf(framesOf(sink.chunks))).toBe(Buffer.concat(all).toString());
  });

  it('ends the session where it must not go on unrecorded', async () => {
    const recording = recorder();
    await recording.begin();
    recording.add(output('kept'));
    await vi.advanceTimersByTimeAsync(500);
    sink.trouble = 'no_space';
    recording.add(output('lost'));
    await vi.advanceTimersByTimeAsync(500);
    expect(await recording.failed).toBe('the disk is full');
    recording.add(output('after'));
    expect(recording.room()).toBeUndefined();
    const end = await recording.end('0');
    expect(end).toMatchObject({ chunks: 2, bytes: 4, lostBytes: 9 });
    expect(end.head).toBe(sink.chunks.at(-1)?.hash.toString('hex'));
    expect(outputOf(framesOf(sink.chunks))).toBe('kept');
  });

  it('goes on where it may, keeps what it can hold, and declares the rest as a gap', async () => {
    const recording = recorder(true);
    await recording.begin();
    sink.trouble = 'no_space';
    let shown = 0;
    for (let i = 0; i < 400; i++) {
      const bytes = Buffer.from(
        Array.from({ length: 20_000 }, (_, k) => (i * i + k * k * 31 + (k >> 3)) % 251),
      );
      recording.add({ type: 'output', bytes });
      shown += bytes.length;
      await vi.advanceTimersByTimeAsync(10);
      expect(recording.room()).toBeUndefined();
    }
    const left = recording.lostBytes;
    expect(left).toBeGreaterThan(0);
    sink.trouble = undefined;
    await vi.advanceTimersByTimeAsync(1_000);
    recording.add(output('again'));
    const end = await recording.end('0');
    expect([end.bytes + end.lostBytes, end.lostBytes]).toEqual([shown + 5, left]);
    const frames = framesOf(sink.chunks);
    expect(frames.filter(({ type }) => type === 'gap')).toMatchObject([
      { gap: { bytes: left, reason: 'the disk is full' } },
    ]);
    expect(outputOf(frames).endsWith('again')).toBe(true);
  });

  it('counts all that never became durable when it ends on a full disk', async () => {
    const recording = recorder(true);
    await recording.begin();
    sink.trouble = 'no_space';
    recording.add(output('12345'));
    await vi.advanceTimersByTimeAsync(600);
    recording.add(output('678'));
    const end = await recording.end('0');
    expect(end).toMatchObject({ chunks: 1, bytes: 0, lostBytes: 8 });
    expect(vi.getTimerCount()).toBe(0);
  });
});
