import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CliIo } from '../../cli-io.ts';
import { testIo } from '../../tsh/testing.ts';
import { pagesOf } from './pages.ts';
import { rolesIn } from './read-roles.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'roles-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const role = (name: string): string => `kind: role\nversion: v3\nmetadata: {name: ${name}}\nspec: {}\n`;
const typed = (text: string): CliIo => {
  const stdin = new PassThrough();
  stdin.end(text);
  return { ...testIo(folder), stdin };
};

describe('the roles of a file', () => {
  it('are none without one, and all documents of it, or of standard input', async () => {
    expect(await rolesIn(undefined, testIo(folder))).toEqual([]);
    const file = join(folder, 'roles.yaml');
    writeFileSync(file, `${role('one')}---\n${role('two')}`);
    const names = (documents: Awaited<ReturnType<typeof rolesIn>>): string[] =>
      documents.map(({ metadata }) => metadata.name);
    expect(names(await rolesIn(file, testIo(folder)))).toEqual(['one', 'two']);
    expect(names(await rolesIn('-', typed(role('three'))))).toEqual(['three']);
  });

  it('are refused with the place of what is none, and with the file that is not there', async () => {
    const user = 'kind: user\nversion: v2\nmetadata: {name: joe}\nspec: {roles: [admin]}\n';
    await expect(rolesIn('-', typed(`${role('one')}---\n${user}`))).rejects.toMatchObject({
      ...{ code: 'bad_request' },
      message: expect.stringMatching(/^standard input:6:1: only roles are tested, not user/) as string,
    });
    await expect(rolesIn(join(folder, 'missing'), testIo(folder))).rejects.toMatchObject({
      ...{ code: 'bad_request', message: `${join(folder, 'missing')} cannot be read: ENOENT` },
    });
  });
});

describe('page after page', () => {
  it('is asked for from where the one before ended, and only when that was used', async () => {
    const asked: (number | undefined)[] = [];
    const pages = pagesOf((after: number | undefined) => {
      asked.push(after);
      return Promise.resolve({ next: asked.length < 3 ? asked.length : undefined });
    });
    await pages.next();
    expect(asked).toEqual([undefined]);
    for await (const page of pages) expect(page.next === undefined).toBe(asked.length === 3);
    expect(asked).toEqual([undefined, 1, 2]);
  });
});
