import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readTokenLines, tokenLines } from './static-tokens.ts';

const issues = (lines: string[]): string[] =>
  (tokenLines.safeParse(lines).error?.issues ?? []).map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  );

describe('reading static tokens', () => {
  it('takes roles in any case, and a secret with colons', () => {
    expect(tokenLines.parse(['node:secret', ' Proxy , NODE:a:b'])).toEqual([
      { roles: ['Node'], token: 'secret' },
      { roles: ['Proxy', 'Node'], token: 'a:b' },
    ]);
  });

  it('names the line that is wrong, and never repeats it', () => {
    const spec = 'invalid static token spec, expected "role,role:token"; the role is node or proxy';
    expect(issues(['s3cret'])).toEqual([`0: ${spec}`]);
    expect(issues(['node:ok', 'node:', ':s3cret'])).toEqual([`1: ${spec}`, `2: ${spec}`]);
    expect(issues(['cook:s3cret'])).toEqual([
      '0: role Cook is not registered: node, proxy or trusted_cluster',
    ]);
    expect(issues(['auth:s3cret'])[0]).toContain('tokens for role Auth are not in this release');
    fc.assert(
      fc.property(fc.string(), (text) => {
        const said = issues([`node,x:SECRET${text}`]);
        expect(said).toHaveLength(1);
        expect(said.join()).not.toContain('SECRET');
      }),
    );
  });
});

describe('a secret in a file', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'static-'));
  });
  afterEach(() => {
    rmSync(dir, { recursive: true });
  });

  it('is read without its line end; a file that is not there or empty is named', () => {
    const path = join(dir, 'secret');
    const line = { roles: ['Node' as const], token: path };
    expect(() => readTokenLines([line])).toThrow(`cannot read the file ${path}`);
    writeFileSync(path, ' \n');
    expect(() => readTokenLines([line])).toThrow(`the file ${path} is empty`);
    writeFileSync(path, 's3cret\n');
    expect(readTokenLines([line, { roles: ['Proxy'], token: 'x' }])).toEqual([
      { roles: ['Node'], token: 's3cret' },
      { roles: ['Proxy'], token: 'x' },
    ]);
  });
});
