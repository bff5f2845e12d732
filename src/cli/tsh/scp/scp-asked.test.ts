import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isCoded } from '../../../base/errors.ts';
import { readAsked } from './scp-asked.ts';

/** Whether something of that name may come when `asked` was asked for. */
const fits = (asked: string, name: string): boolean => {
  const read = readAsked(asked);
  return read.kind === 'names' && read.fits(name);
};

describe('matching a name that a server sent with what was asked for', () => {
  it.each([
    ['/var/log/syslog', 'syslog'],
    ['logs/', 'logs'],
    ['*.log', 'a.log'],
    ['/x/[ab]?.{gz,xz}', 'b1.xz'],
    ['{a,b}{1,2}', 'b2'],
    ['[!a]', 'b'],
    ['a+b(1)', 'a+b(1)'],
    ['.bash*', '.bashrc'],
    ['{.bashrc,x}', '.bashrc'],
    ['x/~joe', '~joe'],
  ])('%s lets %s in', (asked, name) => {
    expect(fits(asked, name)).toBe(true);
  });
  it.each([
    ['/var/log/syslog', '.bashrc'],
    ['*.log', 'a.log.sh'],
    ['*', '.bashrc'],
    ['*rc', '.bashrc'],
    ['?bashrc', '.bashrc'],
    ['[.]bashrc', '.bashrc'],
    ['[!a]bashrc', '.bashrc'],
    ['{*,x}', '.bashrc'],
    ['.*', 'bashrc'],
    ['[!a]', 'a'],
    ['a.b', 'axb'],
    ['{a,b}', 'c'],
    ['x/~joe', 'joe'],
  ])('%s keeps %s out', (asked, name) => {
    expect(fits(asked, name)).toBe(false);
  });
  it.each(['.', '..', 'x/..', 'x/.', './', '/', '', 'a/../..', '~/..'])('%s names nothing', (asked) => {
    expect(() => readAsked(asked)).toThrow('this names no file or folder');
  });
  it.each(['~', '~joe', '~/'])('%s is a home folder', (asked) => {
    expect(readAsked(asked)).toEqual({ kind: 'home' });
  });
  it('lets nothing in by chance: what is no pattern is the same text, and no pattern means a dot file', () => {
    const name = fc.oneof(fc.string(), fc.constantFrom('.bashrc', '.ssh', 'a', '..', 'a.b', '*', '-rf'));
    const asked = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom(...Array.from('*?[]{},!^.a/~-\\')) }),
    );
    fc.assert(
      fc.property(asked, name, (path, came) => {
        let taken: boolean;
        try {
          taken = fits(path, came);
        } catch (e) {
          if (!isCoded(e, 'bad_request')) throw e;
          return;
        }
        const last = path.replace(/\/+$/, '').split('/').at(-1) ?? '';
        if (taken && !/[*?[{]/.test(last)) expect(came).toBe(last);
        if (taken && came.startsWith('.') && came !== last) expect(last).toMatch(/^(\.|.*[{,]\.)|^\{/);
      }),
      { numRuns: 2_000 },
    );
  });
});
