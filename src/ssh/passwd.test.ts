import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseGroupIds, parsePasswdLine } from './passwd.ts';

describe('reading a line of passwd', () => {
  it('gives name, ids, home and shell', () => {
    expect(parsePasswdLine('joe:x:1000:100:Joe,,,:/home/joe:/bin/zsh')).toEqual({
      name: 'joe',
      uid: 1000,
      gid: 100,
      home: '/home/joe',
      shell: '/bin/zsh',
    });
  });
  it('takes /bin/sh and / where nothing stands', () => {
    expect(parsePasswdLine('joe:x:1:1:::')).toMatchObject({ home: '/', shell: '/bin/sh' });
  });
  it.each([
    'joe:x:-1:1:::',
    'joe:x:4294967295:1:::',
    'joe:x:0x0:1:::',
    'joe:x::1:::',
    ':x:0:0:::',
    'joe:x:1:1::',
    '+:::::: :',
  ])('is none: %s', (line) => {
    expect(parsePasswdLine(line)).toBeUndefined();
  });
  it('never takes a uid for 0 that is not written 0', () => {
    fc.assert(
      fc.property(fc.string(), (uid) => {
        const parsed = parsePasswdLine(`joe:x:${uid}:1::/:/bin/sh`);
        expect(parsed === undefined || /^\d+$/.test(uid)).toBe(true);
      }),
    );
  });
});

describe('reading the groups of an account', () => {
  it('gives the ids', () => {
    expect(parseGroupIds('1000 27 100\n')).toEqual([1000, 27, 100]);
  });
  it.each(['', 'joe', '1000 -1', '4294967295', '1 2 x'])('is none: %s', (line) => {
    expect(parseGroupIds(line)).toBeUndefined();
  });
});
