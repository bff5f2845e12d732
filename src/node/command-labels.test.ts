import { describe, expect, it } from 'vitest';
import { valueOf } from './command-labels.ts';

describe('the value of a label that a program prints', () => {
  it.each([
    [' a \n b\n\n', 100, 'a b'],
    ['x'.repeat(200), 100, 'x'.repeat(100)],
    ['ä'.repeat(100), 101, 'ä'.repeat(50)],
    ['😀'.repeat(100), 10, '😀😀'],
    ['', 100, ''],
    ['anything', 0, ''],
  ])('%# is one line of so many bytes, no character torn', (printed, most, value) => {
    expect(valueOf(printed, most)).toBe(value);
  });
});
