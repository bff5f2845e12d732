import { EventEmitter } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { recordingSink } from '../../api/testing.ts';
import { outliveStandardStreams } from './standard-streams.ts';

afterEach(() => {
  vi.useRealTimers();
});

/** A stream that takes what it is given when the test says so. */
class FakeStream extends EventEmitter {
  readonly given: string[] = [];
  #taken: (() => void)[] = [];
  write(text: string, done: () => void): boolean {
    this.given.push(text);
    this.#taken.push(done);
    return true;
  }
  take(): void {
    for (const done of this.#taken.splice(0)) done();
  }
}

function trial() {
  const [out, err] = [new FakeStream(), new FakeStream()];
  const commandsOwn = vi.fn();
  for (const stream of [out, err]) stream.on('error', commandsOwn);
  const streams = outliveStandardStreams({ 1: out, 2: err } as unknown as Parameters<
    typeof outliveStandardStreams
  >[0]);
  return { out, err, streams, commandsOwn, sink: recordingSink() };
}

describe('a standard stream that goes away', () => {
  it('ends nothing, and is said once in the log, unless the log is that stream', () => {
    const { out, err, streams, commandsOwn, sink } = trial();
    streams.tellTo(sink, 2);
    for (const stream of [err, out, out]) stream.emit('error', new Error('EPIPE'));
    out.emit('error', new Error('EIO'));
    expect(commandsOwn).not.toHaveBeenCalled();
    expect(sink.lines).toEqual(['warn standard output takes nothing any more {"reason":"EPIPE"}']);
  });

  it('before there is a log is said when there is one', () => {
    const { out, err, streams, sink } = trial();
    err.emit('error', new Error('EIO'));
    out.emit('error', new Error('EPIPE'));
    streams.tellTo(sink, 1);
    expect(sink.lines).toEqual(['warn standard error takes nothing any more {"reason":"EIO"}']);
  });
});

describe('what the standard streams were given', () => {
  it('is waited for until both have taken it', async () => {
    vi.useFakeTimers();
    const { out, err, streams } = trial();
    let flushed: boolean | undefined;
    const asked = streams.flushed().then((answer) => {
      flushed = answer;
    });
    expect([out.given, err.given]).toEqual([[''], ['']]);
    out.take();
    await vi.advanceTimersByTimeAsync(1_999);
    expect(flushed).toBeUndefined();
    err.take();
    await asked;
    expect([flushed, vi.getTimerCount()]).toEqual([true, 0]);
  });

  it('is given up after 2 s', async () => {
    vi.useFakeTimers();
    const { err, streams } = trial();
    err.take();
    const asked = streams.flushed();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await asked).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
  });
});
