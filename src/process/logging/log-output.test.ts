import { describe, expect, it, vi } from 'vitest';
import { fakeWorld } from '../../api/testing.ts';
import { type LogOutput, openLogOutput } from './log-output.ts';
import type { LogTarget } from './log-target.ts';

/** A target that a test can fill, stop and exchange. */
function trial(limitBytes = Infinity) {
  const world = fakeWorld();
  let text = '';
  let room = limitBytes;
  let changed = false;
  let stuck: Promise<void> | undefined;
  let closing = Promise.resolve();
  const target: LogTarget = {
    write: async (bytes) => {
      await stuck;
      if (room === 0) throw new Error('ENOSPC: no space left on device');
      const taken = Math.min(room, bytes.length);
      text += Buffer.from(bytes.subarray(0, taken)).toString();
      room -= taken;
      return taken;
    },
    refresh: () => {
      const now = changed ? 'another' : 'same';
      if (changed) text = '';
      changed = false;
      return Promise.resolve(now);
    },
    lookAgain: () => undefined,
    close: () => closing,
  };
  const instead: string[] = [];
  const output: LogOutput = openLogOutput({
    target,
    name: 'the file',
    instead: (line) => instead.push(line),
    format: (message, fields) => `${message} ${JSON.stringify(fields)}`,
    now: () => world.now(),
    clock: () => world.monotonic(),
  });
  return {
    world,
    output,
    instead,
    text: () => text,
    lines: () => text.trimEnd().split('\n'),
    room: (bytes: number) => {
      room = bytes;
    },
    exchange: () => {
      changed = true;
    },
    closesNever: () => {
      closing = new Promise(() => undefined);
    },
    stick: () => {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      stuck = promise;
      return () => {
        resolve(undefined);
      };
    },
  };
}

describe('a log whose target fails', () => {
  it('keeps what waits, sends it elsewhere meanwhile, and says so when it is back', async () => {
    const { output, instead, lines, room } = trial(0);
    output.write('first');
    await vi.waitFor(() => {
      expect(output.trouble()).toContain('the log (the file) cannot be written since');
    });
    output.write('second');
    expect(instead).toEqual([expect.stringContaining('the file cannot be written'), 'first', 'second']);
    room(Infinity);
    output.reopen();
    await vi.waitFor(() => {
      expect(lines()).toEqual([
        'first',
        'second',
        expect.stringMatching(/written again.*ENOSPC.*"linesMissing":0/),
      ]);
    });
    expect(output.trouble()).toBeUndefined();
    expect(output.dropped()).toBe(0);
    await output.close();
  });
  it('counts what does not fit, and says where lines are missing', async () => {
    const { output, lines, room } = trial(0);
    const long = 'x'.repeat(100_000);
    for (let i = 0; i < 20; i++) output.write(`${i} ${long}`);
    expect(output.dropped()).toBe(10);
    await vi.waitFor(() => {
      expect(output.trouble()).toContain('10 lines are lost to it so far');
    });
    room(Infinity);
    output.reopen();
    await vi.waitFor(() => {
      expect(lines().map((line) => line.slice(0, 11))).toEqual([
        ...Array.from({ length: 10 }, (_, i) => `${i} xxxxxxxxx`),
        'the file is',
      ]);
    });
    expect(lines().at(-1)).toContain('"linesMissing":10');
    output.write('after');
    await output.close();
    expect(lines().at(-1)).toBe('after');
    expect(output.dropped()).toBe(10);
  });
  it('goes on in the middle of a line in the same file, and begins the line again in another', async () => {
    const same = trial(5);
    same.output.write('a long line');
    await vi.waitFor(() => {
      expect(same.output.trouble()).toBeDefined();
    });
    same.room(Infinity);
    same.output.reopen();
    await same.output.close();
    expect(same.lines()[0]).toBe('a long line');

    const other = trial(5);
    other.output.write('a long line');
    await vi.waitFor(() => {
      expect(other.output.trouble()).toBeDefined();
    });
    other.exchange();
    other.room(Infinity);
    other.output.reopen();
    await other.output.close();
    expect(other.lines()[0]).toBe('a long line');
  });
  it('holds up no end, also when it can be neither written nor closed', async () => {
    vi.useFakeTimers();
    try {
      const { output, stick, closesNever } = trial();
      stick();
      closesNever();
      output.write('waits');
      const closed = output.close();
      await vi.advanceTimersByTimeAsync(2_000);
      await closed;
    } finally {
      vi.useRealTimers();
    }
  }, 5_000);
  it('is let go of at the end, whatever still waits', async () => {
    const { output } = trial(0);
    output.write('lost');
    await output.close();
    output.write('too late');
    expect(output.dropped()).toBe(1);
  });
});

describe('a log whose reader does not read', () => {
  it('holds up nobody and holds no more than its bound; it says so after a while', async () => {
    const { output, world, lines, stick } = trial();
    const release = stick();
    for (let i = 0; i < 30; i++) output.write('x'.repeat(99_999));
    expect(output.dropped()).toBe(20);
    await vi.waitFor(() => {
      world.advance(6_000);
      expect(output.trouble()).toMatch(
        /takes nothing for \d+ s: its reader does not read; 20 lines are lost/,
      );
    });
    release();
    await vi.waitFor(() => {
      expect(lines().at(-1)).toContain('"linesMissing":20');
    });
    expect(output.trouble()).toBeUndefined();
    await output.close();
  });
});
