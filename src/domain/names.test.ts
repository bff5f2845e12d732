import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { certificateMisfit } from './certificate-limits.ts';
import { checkName, isUserName } from './names.ts';
import { idInStream, userStream } from './streams.ts';
import { userDocument } from './resources/user.ts';

/** RFC 5322, section 3.2.3, without the slash. */
const atext = "abcXYZ019!#$%&'*+-=?^_`{|}~";
const atom = fc.stringMatching(/^[a-zA-Z0-9!#$%&'*+=?^_`{|}~-]{1,12}$/);
const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$/);
const mailAddress = fc
  .tuple(fc.array(atom, { minLength: 1, maxLength: 3 }), fc.array(label, { minLength: 1, maxLength: 3 }))
  .map(([local, domain]) => `${local.join('.')}@${domain.join('.')}`);

const signsIn = (name: string): number => name.replace(/[A-Za-z0-9_@:.+-]/g, '').length;

describe('the name of a user', () => {
  it('can be any mail address without quotes and slashes', () => {
    fc.assert(
      fc.property(mailAddress, (name) => {
        fc.pre(!/^[+-]/.test(name) && signsIn(name) <= 32);
        expect(isUserName(name), name).toBe(true);
        expect(userDocument.safeParse(documentOf(name)).success).toBe(true);
        expect(idInStream(userStream(name), 'user')).toBe(name);
        expect(
          certificateMisfit({ username: name, roles: ['a'], logins: ['joe'], traits: {} }),
        ).toBeUndefined();
      }),
    );
  });

  it('has each character that mail knows, and no other', () => {
    for (let code = 0; code < 0x300; code++) {
      const character = String.fromCharCode(code);
      expect(isUserName(`a${character}b`), character).toBe(
        `${atext}.@:`.includes(character) || /[\w]/.test(character),
      );
    }
  });

  it.each([
    ['', 'nothing'],
    ['-rf', 'an option'],
    ['+a@example.com', 'a leading plus'],
    ['.a', 'a hidden file'],
    ['..', 'a folder'],
    ['*', 'a pattern'],
    ['!{}', 'signs alone'],
    ['a b', 'a space'],
    ['a,b', 'a list'],
    ['"a b"@example.com', 'a quoted local part'],
    ['a\nb', 'a line end'],
    ['jörg@example.com', 'a letter beyond ASCII'],
    ['раул', 'letters that look like others'],
    ['a'.repeat(129), 'more than 128'],
    ['../x', 'a path'],
    ['a/b', 'a path without dots'],
    ['a' + '='.repeat(33), 'too many signs'],
  ])('is not %j: %s', (name) => {
    expect(isUserName(name)).toBe(false);
    expect(() => {
      checkName('user', name);
    }).toThrow(/is not a user name: 1 to 128 letters, digits/);
  });

  it('is no rule for names of roles', () => {
    expect(() => {
      checkName('role', "o'neil");
    }).toThrow('is not a role name');
    checkName('user', "o'neil@example.com");
  });
});

const documentOf = (name: string) => ({
  kind: 'user',
  version: 'v2',
  metadata: { name },
  spec: { roles: ['admin'] },
});
