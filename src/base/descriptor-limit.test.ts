import { describe, expect, it } from 'vitest';
import { descriptorLimit } from './descriptor-limit.ts';

const limits = (soft: string): string =>
  `Limit                     Soft Limit           Hard Limit           Units     \n` +
  `Max processes             94000                94000                processes \n` +
  `Max open files            ${soft.padEnd(20)} 1048576              files     \n`;

describe('the number of descriptors that may be open', () => {
  it('is the soft limit', () => {
    expect(descriptorLimit(limits('65536'))).toBe(65_536);
    expect(descriptorLimit(limits('unlimited'))).toBe(Number.POSITIVE_INFINITY);
  });
  it('is not known where the kernel does not tell', () => {
    expect(descriptorLimit('')).toBeUndefined();
  });
});
