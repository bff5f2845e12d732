import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ProgramStarter } from '../machine/program-starter.ts';
import { openCommandLabels, runLabelCommand, valueOf } from './command-labels.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe('the value of a label that a program prints', () => {
  it.each([
    [' a \n b\n\n', 100, 'a b'],
    ['x'.repeat(200), 100, 'x'.repeat(100)],
    ['ä'.repeat(100), 101, 'ä'.repeat(50)],
    ['😀'.repeat(100), 10, '😀😀'],
    ['', 100, ''],
    ['anything', 0, ''],
  ])('%# is one line of so many bytes, no character torn', (printed, most, value) => {
    expect(valueOf(printed, most)).toBe(value);
  });
});

it('a command that runs does not hold up the end of the node: it is killed, and its value stays', async () => {
  vi.useFakeTimers();
  const kill = vi.spyOn(process, 'kill').mockReturnValue(true);
  let starts = 0;
  const start = () => {
    const [out, err] = [new PassThrough(), new PassThrough()];
    const hangs = ++starts > 1;
    if (!hangs) for (const stream of [out, err]) stream.end(stream === out ? 'first' : '');
    const ended = hangs ? new Promise(() => undefined) : Promise.resolve({ status: 'exited', code: 0 });
    return Promise.resolve({ pid: 4711, streams: [undefined, out, err], ended });
  };
  const changed = vi.fn();
  const label = { name: 'load', command: ['x'], periodSeconds: 10 };
  const labels = await openCommandLabels([label], changed, { start } as unknown as ProgramStarter);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(starts).toBe(2);
  await labels.stop();
  expect(kill).toHaveBeenCalledWith(-4711, 'SIGKILL');
  expect([labels.values()['load'], changed.mock.calls.length]).toEqual(['first', 0]);
});

/** Programs that print and end as it is said, one after the other. */
function starterOf(...ends: { out?: string; err?: string; end?: object; hangs?: boolean }[]): ProgramStarter {
  const start = () => {
    const { out = '', err = '', end = { status: 'exited', code: 0 }, hangs = false } = ends.shift() ?? {};
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    if (hangs)
      return Promise.resolve({
        pid: 4711,
        streams: [undefined, stdout, stderr],
        ended: new Promise(() => 0),
      });
    stdout.end(out);
    stderr.end(err);
    return Promise.resolve({ pid: 4711, streams: [undefined, stdout, stderr], ended: Promise.resolve(end) });
  };
  return { start } as unknown as ProgramStarter;
}

describe('a command that gives a value', () => {
  it('gives what it printed, cut, or how it failed', async () => {
    expect(await runLabelCommand(['x'], starterOf({ out: 'one\ntwo\n' }), 1000)).toBe('one two');
    expect(await runLabelCommand(['x'], starterOf({ out: 'abcdef' }), 1000, 3)).toBe('abc');
    const failed = { out: 'half', err: 'no disk', end: { status: 'exited', code: 1 } };
    expect(await runLabelCommand(['x', 'y'], starterOf(failed), 1000)).toBe('Command failed: x y no disk');
    const killed = { end: { status: 'signalled', signal: 'TERM', code: 0 } };
    expect(await runLabelCommand(['x'], starterOf(killed), 1000)).toBe('Command failed: x');
    const start = () => Promise.reject(new Error('no such program'));
    expect(await runLabelCommand(['x'], { start } as unknown as ProgramStarter, 1000, 7)).toBe('no such');
  });

  it('is ended when it takes too long or prints too much', async () => {
    vi.spyOn(process, 'kill').mockReturnValue(true);
    vi.useFakeTimers();
    const running = runLabelCommand(['x'], starterOf({ hangs: true }), 2_000);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await running).toBe('the command took longer than 2 s');
    vi.useRealTimers();
    const much = starterOf({ out: 'x'.repeat(1024 * 1024 + 1) });
    expect(await runLabelCommand(['x'], much, 5_000)).toBe('the command printed more than 1048576 bytes');
  });
});

it('a value counts as changed when it is another one, and each command has its own time', async () => {
  vi.useFakeTimers();
  const changed = vi.fn();
  const starter = starterOf({ out: 'a' }, { out: 'a' }, { out: 'b' });
  const labels = await openCommandLabels(
    [{ name: 'load', command: ['x'], periodSeconds: 3 }],
    changed,
    starter,
  );
  await vi.advanceTimersByTimeAsync(2_999);
  expect([labels.values()['load'], changed.mock.calls.length]).toEqual(['a', 0]);
  await vi.advanceTimersByTimeAsync(1);
  expect(changed).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(3_000);
  expect([labels.values()['load'], changed.mock.calls.length]).toEqual(['b', 1]);
  await labels.stop();
  expect(vi.getTimerCount()).toBe(0);
});
