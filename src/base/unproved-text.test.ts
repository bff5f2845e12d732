import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { unprovedName, unprovedReason } from './unproved-text.ts';

describe('a text of somebody who has proved nothing', () => {
  it('stays when it is short', () => {
    expect(unprovedName('alice')).toBe('alice');
    expect(unprovedName('x'.repeat(100))).toBe('x'.repeat(100));
  });

  it('is cut to 100 bytes, and says its length and hash', () => {
    expect(unprovedName('k'.repeat(15_500))).toMatch(/^k{100}… \(15500 bytes, sha256 [0-9a-f]{16}\)$/);
    expect(unprovedName(`${'k'.repeat(15_499)}1`)).not.toBe(unprovedName(`${'k'.repeat(15_499)}2`));
    expect(unprovedReason('r'.repeat(15_500)).length).toBeLessThan(460);
  });

  it('has at most 160 bytes, is sound text, and is cut once, whatever was sent', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
        const kept = unprovedName(text);
        expect(Buffer.byteLength(kept)).toBeLessThanOrEqual(160);
        expect(kept.isWellFormed()).toBe(true);
        expect(unprovedName(kept)).toBe(kept);
      }),
    );
    expect(unprovedName('é'.repeat(80)).startsWith('é'.repeat(50) + '…')).toBe(true);
    expect(unprovedName(`a${'é'.repeat(80)}`).startsWith(`a${'é'.repeat(49)}…`)).toBe(true);
  });

  it('cannot pass for one that was cut and be longer', () => {
    const forged = `${'x'.repeat(5_000)}… (9 bytes, sha256 0123456789abcdef)`;
    expect(Buffer.byteLength(unprovedName(forged))).toBeLessThan(160);
  });
});
