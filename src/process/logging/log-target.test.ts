import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fileTarget, standardTarget } from './log-target.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'log-target-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

function trial() {
  let now = 0;
  const path = join(dir, 'log');
  const target = fileTarget(path, () => now);
  return {
    path,
    target,
    pass: (ms: number) => {
      now += ms;
    },
    write: (text: string) => target.write(Buffer.from(text)),
  };
}

describe('a log that is a file', () => {
  it('is made for its owner alone when it is first written to, and appended to', async () => {
    const { target, path, write } = trial();
    expect(await target.refresh()).toBe('another');
    expect(await write('å\n')).toBe(3);
    expect(await write('b\n')).toBe(2);
    expect(readFileSync(path, 'utf8')).toBe('å\nb\n');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await target.refresh()).toBe('same');
    await target.close();
  });

  it.each([
    [
      'renamed',
      (path: string): void => {
        renameSync(path, `${path}.1`);
      },
    ],
    [
      'deleted',
      (path: string): void => {
        unlinkSync(path);
      },
    ],
  ])('that was %s is made again within a second, no sooner', async (_, move) => {
    const { target, path, write, pass } = trial();
    await write('a');
    expect(await target.refresh()).toBe('same'); // it has looked now
    move(path);
    pass(999);
    expect(await target.refresh()).toBe('same');
    pass(1);
    expect(await target.refresh()).toBe('another');
    await write('b');
    expect(readFileSync(path, 'utf8')).toBe('b');
    await target.close();
  });

  it('that another took the place of is let go of', async () => {
    const { target, path, write } = trial();
    await write('a');
    renameSync(path, `${path}.1`);
    closeSync(openSync(path, 'w'));
    expect(await target.refresh()).toBe('another');
    await write('b');
    expect([readFileSync(`${path}.1`, 'utf8'), readFileSync(path, 'utf8')]).toEqual(['a', 'b']);
    await target.close();
  });

  it('is looked at at once when it is asked for', async () => {
    const { target, path, write } = trial();
    await write('a');
    await target.refresh();
    unlinkSync(path);
    expect(await target.refresh()).toBe('same');
    target.lookAgain();
    expect(await target.refresh()).toBe('another');
    expect(await target.refresh()).toBe('another');
  });

  it('is opened again after it was closed', async () => {
    const { target, path, write } = trial();
    await target.close();
    await write('a');
    await target.close();
    expect(await target.refresh()).toBe('another');
    await write('b');
    expect(readFileSync(path, 'utf8')).toBe('ab');
    await target.close();
  });

  it('that cannot be opened is told, and tried again by the next write', async () => {
    const { target, path, write } = trial();
    mkdirSync(path);
    await expect(write('a')).rejects.toMatchObject({ code: 'EISDIR' });
    rmSync(path, { recursive: true });
    expect(await write('a')).toBe(1);
    await target.close();
  });

  it('that is a pipe without a reader waits for none', async () => {
    const { path, write } = trial();
    execFileSync('mkfifo', [path]);
    await expect(write('a')).rejects.toMatchObject({ code: 'ENXIO' });
  });
});

describe('a log that is a stream this process was started with', () => {
  const noStream = {
    write: (): never => {
      throw new Error('a file is written to by its descriptor');
    },
  };

  it('says of a file how much it took, and goes on where it is', async () => {
    const path = join(dir, 'out');
    const fd = openSync(path, 'w');
    const target = standardTarget(fd, noStream);
    expect([await target.write(Buffer.from('å')), await target.write(Buffer.from('b'))]).toEqual([2, 1]);
    expect(readFileSync(path, 'utf8')).toBe('åb');
    expect(await target.refresh()).toBe('same');
    await target.close();
    closeSync(fd); // it was left open
  });

  it('says of any other that all was taken, or why nothing was', async () => {
    const fd = openSync('/dev/null', 'w');
    const answers = [undefined, null, new Error('EPIPE')];
    const taken: string[] = [];
    const target = standardTarget(fd, {
      write: (bytes, done) => {
        taken.push(Buffer.from(bytes).toString());
        done(answers.shift());
        return true;
      },
    });
    expect([await target.write(Buffer.from('å')), await target.write(Buffer.from('b'))]).toEqual([2, 1]);
    await expect(target.write(Buffer.from('c'))).rejects.toThrow('EPIPE');
    expect(taken).toEqual(['å', 'b', 'c']);
    closeSync(fd);
  });

  it('that is closed is written to by its stream, which says so', async () => {
    const target = standardTarget(9_999, {
      write: (_, done) => {
        done(new Error('EBADF'));
        return false;
      },
    });
    await expect(target.write(Buffer.from('a'))).rejects.toThrow('EBADF');
  });
});
