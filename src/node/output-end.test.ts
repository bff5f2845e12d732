import { PassThrough, Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { endOf, terminalRead } from './output-end.ts';

/** A client that takes one chunk each time `take` is called. */
class SlowReader extends Writable {
  readonly got: string[] = [];
  #waiting: (() => void) | undefined;
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#waiting = () => {
      if (chunk.length > 0) this.got.push(chunk.toString());
      done();
    };
  }
  take(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});
const settle = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
};

function bench() {
  const terminal = new PassThrough({ highWaterMark: 4 });
  const reader = new SlowReader({ highWaterMark: 4 });
  const unread = new AbortController();
  terminal.pipe(reader, { end: false });
  const state = { over: false };
  void terminalRead(terminal, reader, unread.signal).then(() => (state.over = true));
  return { terminal, reader, unread, state };
}
const pass = async (ms: number): Promise<void> => {
  await vi.advanceTimersByTimeAsync(ms);
  await settle();
};

describe('the end of what is written to a terminal', () => {
  it('waits for a reader that takes a minute for each line', async () => {
    const { terminal, reader, state } = bench();
    for (const line of ['one.', 'two.', 'three']) terminal.write(line);
    for (let i = 0; i < 3; i++) {
      await pass(60_000);
      expect(state.over).toBe(false);
      reader.take();
      await settle();
    }
    for (let i = 0; i < 5 && !state.over; i++) {
      reader.take(); // what only asks whether all was taken
      await pass(1_000);
    }
    expect(reader.got).toEqual(['one.', 'two.', 'three']);
    expect(state.over).toBe(true);
  });
  it('is there a second after the last that anybody wrote', async () => {
    const { terminal, reader, state } = bench();
    await pass(900);
    terminal.write('x');
    await settle();
    reader.take();
    await pass(900);
    expect(state.over).toBe(false);
    await pass(200);
    expect(state.over).toBe(true);
  });
  it('is there at once when the terminal ends, or nobody reads', async () => {
    const ended = bench();
    ended.terminal.end();
    await settle();
    expect(ended.state.over).toBe(true);
    const unread = bench();
    unread.terminal.write('never taken');
    unread.unread.abort();
    await settle();
    expect(unread.state.over).toBe(true);
  });
});

describe('the end of a stream', () => {
  it.each([
    ['has ended', (stream: PassThrough) => stream.end().resume()],
    ['was destroyed', (stream: PassThrough) => stream.destroy()],
  ])('is there once it %s, also before anybody asked', async (_what, end) => {
    const [before, after] = [new PassThrough(), new PassThrough()];
    end(before);
    await settle();
    await endOf(before);
    let over = false;
    const ended = endOf(after).then(() => (over = true));
    await settle();
    expect(over).toBe(false);
    end(after);
    await ended;
  });
});

it('a reader that is gone is waited for no longer, and nothing is left to wait', async () => {
  const { reader, terminal, state } = bench();
  terminal.write('x');
  await settle();
  reader.destroy();
  await pass(2_000);
  expect(state.over).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});
