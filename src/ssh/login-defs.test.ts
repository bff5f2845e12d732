import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defaultPaths, parseLoginDefs } from './login-defs.ts';

describe('reading login.defs', () => {
  it('finds both paths, with PATH= or without, and the last one counts', () => {
    const text = '# x\nENV_PATH\tPATH=/a\nENV_SUPATH  /sbin:/bin\n ENV_PATH "PATH=/b:/c"\nUMASK 022\n';
    expect(parseLoginDefs(text)).toEqual({ user: '/b:/c', superuser: '/sbin:/bin' });
  });
  it('falls back where the file says nothing', () => {
    expect(parseLoginDefs('#ENV_PATH PATH=/a\nENV_PATHS /b\n')).toEqual(defaultPaths);
  });
  it('never fails, and gives paths of one line', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const { user, superuser } = parseLoginDefs(`ENV_PATH ${text}\n${text}`);
        expect(`${user}${superuser}`).toMatch(/^\S+$/);
      }),
    );
  });
});
