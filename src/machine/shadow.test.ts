import { describe, expect, it } from 'vitest';
import { parseShadowLine, shadowFault } from './shadow.ts';

const today = 20_000;
const fault = (line: string, admitsLocked = false): string | undefined => {
  const entry = parseShadowLine(line);
  if (entry === undefined) throw new Error(`no line: ${line}`);
  return shadowFault(entry, today, admitsLocked);
};

describe('what the shadow file says of an account', () => {
  it.each([
    ['a password that is good', 'joe:$6$x:19990:0:30:7:5::'],
    ['no password, which is not the same as a locked one', 'joe:*:19000:0:99999:7:::'],
    ['no password, and it is old', 'joe:*:19000:0:30:7:::'],
    ['no date at all', 'joe:$6$x:::::::'],
    ['the last day of a password', 'joe:$6$x:19970:0:30:7:::'],
    ['the day before it expires', 'joe:*:19000:0:99999:7::20001:'],
    ['-1 for never', 'joe:$6$x:19000:0:-1:7:-1:-1:'],
  ])('open: %s', (_what, line) => {
    expect(fault(line)).toBeUndefined();
  });
  it.each([
    ['it has expired', 'joe:*:19000:0:99999:7::20000:'],
    ['it has expired', 'joe:*:19000:0:99999:7::0:'],
    ['it has expired', 'joe:!:19000:0:99999:7::1:'],
    ['it is locked', 'joe:!:19000:0:99999:7:::'],
    ['it is locked', 'joe:!!:19000:0:99999:7:::'],
    ['it is locked', 'joe:!$6$x:19000:0:99999:7:::'],
    ['it is locked', 'joe:*LK*:19000:0:99999:7:::'],
    ['its password must be changed first', 'joe:$6$x:0:0:99999:7:::'],
    ['its password has expired', 'joe:$6$x:19969:0:30:7:::'],
    ['its password has expired', 'joe:$6$x:19969:0:30:7:1::'],
    ['it is inactive: its password has expired long ago', 'joe:$6$x:19968:0:30:7:1::'],
  ])('closed, %s: %s', (why, line) => {
    expect(fault(line)).toBe(why);
  });
  it('admits what is locked where that is asked for, and nothing else', () => {
    expect(fault('joe:!:19000:0:30:7:::', true)).toBeUndefined();
    expect(fault('joe:!:19000:0:99999:7::1:', true)).toBe('it has expired');
  });
  it.each(['', 'joe', 'joe:*:a:0:9:7:::', 'joe:*:1:0:9:7::', ':*:19000:0:99999:7:::', 'joe:*:1:0:9:7::-2:'])(
    'takes %j for no line',
    (line) => {
      expect(parseShadowLine(line)).toBeUndefined();
    },
  );
});
