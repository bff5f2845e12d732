import { describe, expect, it } from 'vitest';
import { lowerLimit, underLimit } from './descriptor-limit.ts';

const limits = (soft: string, hard: string): string =>
  `Limit                     Soft Limit           Hard Limit           Units     \n` +
  `Max processes             94000                94000                processes \n` +
  `Max open files            ${soft.padEnd(20)} ${hard.padEnd(20)} files     \n`;

describe('the descriptor limit of a session', () => {
  it('is a normal one where the daemon has a high one', () => {
    expect(lowerLimit(limits('65536', '65536'))).toBe(1024);
    expect(lowerLimit(limits('unlimited', 'unlimited'))).toBe(1024);
  });
  it('is the own one where that is no higher, or is not known', () => {
    expect(lowerLimit(limits('1024', '1024'))).toBeUndefined();
    expect(lowerLimit(limits('256', '4096'))).toBeUndefined();
    expect(lowerLimit('')).toBeUndefined();
  });
  it('leaves the hard limit as it is', () => {
    expect(underLimit('/usr/bin/prlimit', 1024, ['/bin/sh', '-l'])).toEqual([
      '/usr/bin/prlimit',
      '--nofile=1024:',
      '--',
      '/bin/sh',
      '-l',
    ]);
  });
});
