import { describe, expect, it } from 'vitest';
import { type PasswdRecord, localHome, localUsername } from './local-person.ts';

const recorded = (): PasswdRecord => ({ username: 'ann', homedir: '/home/ann' });
/** As `userInfo` of node:os fails for a uid that is in no passwd. */
const unknown = (): never => {
  throw new Error('A system error occurred: uv_os_get_passwd returned ENOENT (no such file or directory)');
};

describe('who runs this program', () => {
  it('is whom the passwd record says, whatever the environment says', () => {
    const env = { HOME: '/elsewhere', LOGNAME: 'joe', USER: 'joe' };
    expect([localHome(env, recorded), localUsername(env, recorded)]).toEqual(['/home/ann', 'ann']);
  });
  it.each([
    [{ HOME: '/c', LOGNAME: 'joe', USER: 'eve' }, 'joe'],
    [{ HOME: '/c', LOGNAME: '', USER: 'eve' }, 'eve'],
    [{ HOME: '/c', USER: 'eve' }, 'eve'],
  ])('without a record is whom the environment says: %j', (env, name) => {
    expect([localHome(env, unknown), localUsername(env, unknown)]).toEqual(['/c', name]);
  });
  it.each([[{}], [{ HOME: '' }], [{ HOME: 'relative' }]])('has no home by %j', (env) => {
    expect(() => localHome(env, unknown)).toThrow(/^uid \d+ has no home folder: .*Set HOME/);
  });
  it('has no name without one', () => {
    expect(() => localUsername({ USER: '' }, unknown)).toThrow(/^uid \d+ has no name: .*Set USER/);
  });
  it('hides no other failure of the system', () => {
    const broken = (): never => {
      throw new Error('A system error occurred: uv_os_get_passwd returned EMFILE (too many open files)');
    };
    expect(() => localHome({ HOME: '/c' }, broken)).toThrow('EMFILE');
  });
});
