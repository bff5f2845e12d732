import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { requireLogFile, requireReplaceable } from './writable.ts';

const dir = mkdtempSync(join(tmpdir(), 'writable-'));
afterAll(() => {
  rmSync(dir, { recursive: true });
});

describe('a pid file that is to be written', () => {
  const check = (path: string) => () => {
    requireReplaceable(path, 'the pid file');
  };
  it('stays what it is', () => {
    const path = join(dir, 'pid');
    check(path)();
    expect(readdirSync(dir)).toEqual([]);
    writeFileSync(path, '17');
    check(path)();
    expect(readFileSync(path, 'utf8')).toBe('17');
    expect(readdirSync(dir)).toEqual(['pid']);
    rmSync(path);
  });
  it('needs a folder', () => {
    expect(check(join(dir, 'gone/pid'))).toThrow(
      `cannot write the pid file ${dir}/gone/pid: there is no folder ${dir}/gone: make it, or name another file`,
    );
    writeFileSync(join(dir, 'file'), '');
    expect(check(join(dir, 'file/pid'))).toThrow(/file is not a folder|ENOTDIR/);
  });
  it('is no folder', () => {
    mkdirSync(join(dir, 'folder'));
    expect(check(join(dir, 'folder'))).toThrow(/folder: it is a folder/);
  });
  it('is tried on a file system that takes nothing', () => {
    expect(check('/proc/pid')).toThrow(/cannot write the pid file \/proc\/pid/);
  });
});

describe('a log file that is to be written', () => {
  it('is made, or refused', () => {
    const path = join(dir, 'log');
    requireLogFile(path);
    expect(existsSync(path)).toBe(true);
    mkdirSync(join(dir, 'log-folder'));
    expect(() => {
      requireLogFile(join(dir, 'log-folder'));
    }).toThrow(/^log\.output: cannot write .*log-folder/);
  });
  it('is no stream, and not named syslog', () => {
    for (const output of ['stderr', 'stdout', 'syslog', '2']) requireLogFile(output);
    expect(existsSync('syslog')).toBe(false);
  });
});
