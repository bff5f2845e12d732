import {
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeFileAtomic } from './files.ts';

let directory: string;
let path: string;
let other: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'files-'));
  path = join(directory, 'x.pid');
  other = join(directory, 'other');
  writeFileSync(other, 'untouched', { mode: 0o666 });
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

describe('writing a file at once', () => {
  const temporary = (): string => `${path}.${process.pid}.tmp`;

  it('replaces a link, and not what it points to', () => {
    symlinkSync(other, path);
    writeFileAtomic(path, 'new', 0o600);
    expect(lstatSync(path).isFile()).toBe(true);
    expect(readFileSync(path, 'utf8')).toBe('new');
    expect(readFileSync(other, 'utf8')).toBe('untouched');
  });

  it.each([
    [
      'a link to another file',
      () => {
        symlinkSync(other, temporary());
      },
    ],
    [
      'another file under a second name',
      () => {
        linkSync(other, temporary());
      },
    ],
  ])('goes by no file that somebody put where it writes: %s', (_name, plant) => {
    plant();
    writeFileAtomic(path, 'secret', 0o600);
    expect(readFileSync(other, 'utf8')).toBe('untouched');
    expect(readFileSync(path, 'utf8')).toBe('secret');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory).sort()).toEqual(['other', 'x.pid']);
  });

  it('leaves nothing behind where it cannot write', () => {
    mkdirSync(path);
    expect(() => {
      writeFileAtomic(path, 'secret', 0o600);
    }).toThrow(/EISDIR|EEXIST|ENOTEMPTY/);
    expect(readdirSync(directory).sort()).toEqual(['other', 'x.pid']);
  });
});
