import { describe, expect, it } from 'vitest';
import { parseSshOptions } from './ssh-options.ts';

describe('reading -o', () => {
  it('follows four options', () => {
    const warnings: string[] = [];
    const options = parseSshOptions(
      ['AddKeysToAgent=no', 'ForwardAgent yes', 'RequestTTY = yes', 'StrictHostKeyChecking=no'],
      (w) => warnings.push(w),
    );
    expect(options).toEqual({
      addKeysToAgent: false,
      forwardAgent: true,
      requestTty: true,
      strictHostKeyChecking: false,
    });
    expect(warnings).toEqual([]);
  });
  it('warns of options that ssh has and tsh does not follow', () => {
    const warnings: string[] = [];
    parseSshOptions(['Compression=yes'], (w) => warnings.push(w));
    expect(warnings).toEqual(["WARNING: Option 'Compression' is not supported."]);
  });
  it.each([
    ['Frob=yes', 'unsupported option key: Frob'],
    ['ForwardAgent=perhaps', "option ForwardAgent: expected yes or no, got 'perhaps'"],
    ['ForwardAgent', "invalid option 'ForwardAgent'"],
  ])('refuses %s', (text, message) => {
    expect(() => parseSshOptions([text], () => undefined)).toThrow(message);
  });
});
