import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { edited } from './edited.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'edit-test-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

const env = (script: string): Record<string, string> => ({
  EDITOR: `sh -c '${script}' x`,
  TMPDIR: directory,
});
const editing = (script: string, write: (text: string, file: string) => Promise<void>) =>
  edited({ text: 'name: a\n', title: 'role' }, env(script), write);
const kept = (e: unknown): string => /The text is kept in (.*)$/.exec((e as Error).message)?.[1] ?? '';

describe('a text in an editor', () => {
  it('is given on as it was left, and thrown away when it was written', async () => {
    let seen = '';
    let place = '';
    const ended = await editing('echo b >> "$1"', (text, file) => {
      [seen, place] = [text, file];
      expect(statSync(file).mode & 0o777).toBe(0o600);
      return Promise.resolve();
    });
    expect([ended, seen]).toEqual(['written', 'name: a\nb\n']);
    expect(() => statSync(dirname(place))).toThrow(/ENOENT/);
  });
  it('is not written where nothing was changed', async () => {
    const ended = await editing('true', () => Promise.reject(new Error('written')));
    expect(ended).toBe('unchanged');
  });
  it('is not written, and kept, where the editor fails', async () => {
    const ended = await editing('echo b >> "$1"; exit 3', () => Promise.reject(new Error('written'))).catch(
      (e: unknown) => e,
    );
    expect(ended).toMatchObject({
      code: 'bad_request',
      message: expect.stringMatching(/^the editor \(sh .*\) ended with 3\n/) as string,
    });
    expect(readFileSync(kept(ended), 'utf8')).toBe('name: a\nb\n');
  });
  it('is kept where it cannot be written', async () => {
    const ended = await editing('echo b >> "$1"', () =>
      Promise.reject(new Error('somebody was first')),
    ).catch((e: unknown) => e);
    expect(ended).toMatchObject({ message: expect.stringMatching(/^somebody was first\n/) as string });
    expect(readFileSync(kept(ended), 'utf8')).toBe('name: a\nb\n');
  });
});
