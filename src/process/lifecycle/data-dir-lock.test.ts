import {
  closeSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recordingSink } from '../../api/testing.ts';
import { processRef } from '../../base/process-ref.ts';
import { lockDataDir, type LockOptions } from './data-dir-lock.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lock-test-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});
const path = (): string => join(dir, 'daemon.lock');
const isOpen = (fd: number): boolean => {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
};

function lock(wish: Partial<LockOptions> = {}) {
  const sink = recordingSink();
  const held: number[] = [];
  const options: LockOptions = {
    ...{ inherited: undefined, hasPredecessor: false, sink },
    ask: (fd) => {
      held.push(fd);
      return { status: 'held' };
    },
    ...wish,
  };
  return { got: lockDataDir(dir, options), sink, held };
}
const busy = (): { status: 'busy' } => ({ status: 'busy' });

describe('the lock of a data directory', () => {
  it('is a file of its own that only we read, held until it is let go, once', () => {
    const { got, held, sink } = lock();
    expect([got.fd, statSync(path()).mode & 0o777]).toEqual([held[0], 0o600]);
    expect(isOpen(got.fd ?? -1)).toBe(true);
    got.release();
    expect(isOpen(got.fd ?? -1)).toBe(false);
    const other = openSync(path(), 'r');
    got.release(); // again: it closes nothing that came to have the same number
    expect(isOpen(other)).toBe(true);
    closeSync(other);
    expect(sink.lines).toEqual([]);
  });

  it('says who holds it once that is said, in place of who held it before', () => {
    writeFileSync(path(), 'x'.repeat(500));
    const { got } = lock();
    got.sign();
    expect(JSON.parse(readFileSync(path(), 'utf8'))).toEqual(processRef(process.pid));
    got.release();
    writeFileSync(path(), 'another');
    got.sign();
    expect(readFileSync(path(), 'utf8')).toBe('another');
  });

  it('is not a link to a file of somebody else', () => {
    symlinkSync(join(dir, 'elsewhere'), path());
    expect(() => lock()).toThrow(
      expect.objectContaining({
        code: 'misconfigured',
        message: expect.stringMatching(/^cannot open the lock /) as string,
      }) as Error,
    );
  });

  it('that another has refuses, naming the process that is alive', () => {
    writeFileSync(path(), JSON.stringify(processRef(process.pid)));
    expect(() => lock({ ask: busy })).toThrow(
      `${dir} is in use by process ${process.pid}: two daemons cannot`,
    );
  });

  it.each([
    [
      JSON.stringify({ pid: process.pid, startTime: '0' }),
      /by another process \(the last to serve was \d+, which is not seen/,
    ],
    ['', /in use by another process, which is starting: /],
    ['{', /in use by another process, which is starting: /],
  ])('that another has, who wrote %s, refuses', (text, message) => {
    writeFileSync(path(), text);
    let fd = -1;
    const ask = (asked: number): { status: 'busy' } => {
      fd = asked;
      return busy();
    };
    expect(() => lock({ ask })).toThrow(expect.objectContaining({ code: 'misconfigured' }) as Error);
    expect(() => lock({ ask })).toThrow(message);
    expect(isOpen(fd)).toBe(false);
  });

  it.each([
    ['a predecessor of an older release may have', busy, true, 'the previous process still has the lock'],
    [
      'cannot be had',
      () => ({ status: 'impossible', why: 'no locks here' }) as const,
      false,
      'no locks here',
    ],
  ])('that %s is done without, with a warning', (_what, ask, hasPredecessor, why) => {
    const { got, sink } = lock({ ask, hasPredecessor });
    expect(got.fd).toBeUndefined();
    got.sign();
    got.release();
    expect(readFileSync(path(), 'utf8')).toBe('');
    expect(sink.lines).toEqual([
      `warn nothing keeps a second daemon from ${dir} while this one runs {"reason":"${why}"}`,
    ]);
  });

  it('is that of the predecessor where it handed one over', () => {
    writeFileSync(path(), '');
    const inherited = openSync(path(), 'r+');
    const { got, held } = lock({ inherited });
    expect([got.fd, held]).toEqual([inherited, [inherited]]);
    got.release();
  });

  it('of another directory keeps a successor from going on there', () => {
    const before = join(dir, 'before');
    mkdirSync(before);
    writeFileSync(join(before, 'daemon.lock'), '');
    for (const isThere of [false, true]) {
      if (isThere) writeFileSync(path(), '');
      const inherited = openSync(join(before, 'daemon.lock'), 'r+');
      expect(() => lock({ inherited })).toThrow(
        `data_dir is ${dir} now, but the previous process serves from ${before}:`,
      );
      closeSync(inherited);
    }
  });

  it('is one of the system: a second daemon does not get it', () => {
    const sink = recordingSink();
    const options = { inherited: undefined, hasPredecessor: false, sink };
    const got = lockDataDir(dir, options);
    expect(() => lockDataDir(dir, options)).toThrow('is in use by another process, which is starting');
    got.release();
    lockDataDir(dir, options).release();
    expect(sink.lines).toEqual([]);
  });

  it('is done without where the system has no program for it', () => {
    const before = process.env['PATH'];
    try {
      for (const [script, why] of [
        [undefined, /flock: spawnSync flock ENOENT/],
        ['echo no locks >&2; exit 1', /"no locks"/],
        ['exit 65', /flock ended with status 65/],
        ['kill -9 $$', /flock ended with SIGKILL/],
      ] as const) {
        if (script !== undefined)
          writeFileSync(join(dir, 'flock'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
        process.env['PATH'] = dir;
        const sink = recordingSink();
        const got = lockDataDir(dir, { inherited: undefined, hasPredecessor: false, sink });
        expect(got.fd).toBeUndefined();
        expect(sink.lines.join()).toMatch(why);
      }
    } finally {
      process.env['PATH'] = before;
    }
  });
});
