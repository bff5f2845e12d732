import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defaultPaths, parseLoginDefs } from './login-defs.ts';

describe('reading login.defs', () => {
  it('finds both paths, with PATH= or without, and the last one counts', () => {
    const text =
      '# x\nENV_PATH\tPATH=/a\nENV_SUPATH  /sbin:/bin\n ENV_PATH "PATH=/b:/c"\nUMASK 077\n UMASK\t022\n';
    expect(parseLoginDefs(text)).toEqual({
      paths: { user: '/b:/c', superuser: '/sbin:/bin' },
      umask: '022',
    });
  });
  it('falls back where the file says nothing', () => {
    expect(parseLoginDefs('#ENV_PATH PATH=/a\nENV_PATHS /b\n')).toEqual({
      paths: defaultPaths,
      umask: '022',
    });
  });
  it.each(['UMASK 999', 'UMASK 22', 'UMASK 0o22', '#UMASK 077', 'UMASK 022; id', 'UMASK_X 077'])(
    '%s is no umask',
    (text) => {
      expect(parseLoginDefs(text).umask).toBe('022');
    },
  );
  it('never fails, and gives paths of one line', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const { paths, umask } = parseLoginDefs(`ENV_PATH ${text}\n${text}`);
        const { user, superuser } = paths;
        expect(umask).toMatch(/^[0-7]{3,4}$/);
        expect(`${user}${superuser}`).toMatch(/^\S+$/);
      }),
    );
  });
});
