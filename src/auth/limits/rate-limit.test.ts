import { describe, expect, it } from 'vitest';
import { rateLimit, sourceOf } from './rate-limit.ts';

const start = 1_000;
const admittedOf = (n: number, admit: (i: number) => boolean): number =>
  Array.from({ length: n }, (_, i) => admit(i)).filter(Boolean).length;

describe('limiting the rate of an address', () => {
  it('admits ten at once, and ten more each second', () => {
    const limit = rateLimit(10);
    expect(admittedOf(50, () => limit.admit('192.0.2.1:1', start))).toBe(10);
    expect(admittedOf(50, () => limit.admit('192.0.2.1:2', start + 500))).toBe(5);
    expect(admittedOf(50, () => limit.admit('192.0.2.1:3', start + 60_000))).toBe(10);
  });

  it('counts each address by itself', () => {
    const limit = rateLimit(1);
    expect(admittedOf(20, (i) => limit.admit(`192.0.2.${i}:1`, start))).toBe(20);
  });
});

describe('telling sources apart', () => {
  it.each([
    ['192.0.2.1:4711', '192.0.2.1'],
    ['192.0.2.1', '192.0.2.1'],
    ['[::ffff:192.0.2.1]:4711', '192.0.2.1'],
    ['[2001:db8:1:2:3:4:5:6]:22', '2001:db8:1:2::/64'],
    ['2001:db8:1:2:ffff::1', '2001:db8:1:2::/64'],
    ['[2001:db8::1]:1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['', ''],
  ])('%s counts as %s', (address, source) => {
    expect(sourceOf(address)).toBe(source);
  });
});
