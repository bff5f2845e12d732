import { describe, expect, it } from 'vitest';
import { headValue, parseHead } from './head.ts';

const hash = Buffer.alloc(32, 0xab);

describe('the value of a head key', () => {
  it('is read as it was written, and in the form of the release before', () => {
    expect(headValue({ slot: 7, hash })).toBe(`7 ${'ab'.repeat(32)}`);
    expect(parseHead(Buffer.from(headValue({ slot: 7, hash })))).toEqual({ slot: 7, hash });
    expect(parseHead(Buffer.from('12'))).toEqual({ slot: 12, hash: undefined });
  });

  it.each([[''], ['x'], ['7 '], ['7 abcd'], [`7 ${'AB'.repeat(32)}`], ['7 x']])(
    'is neither form: %j',
    (text) => {
      expect(parseHead(Buffer.from(text))).toBeUndefined();
    },
  );
});
