import { endianness } from 'node:os';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyTerminalModes } from './terminal-modes.ts';

const word = (termios: Buffer, at: number): number =>
  endianness() === 'LE' ? termios.readUInt32LE(at) : termios.readUInt32BE(at);
const applied = (fill: number, ...modes: [number, number][]): Buffer => {
  const termios = Buffer.alloc(60, fill);
  applyTerminalModes(termios, new Map(modes));
  return termios;
};

describe('applying terminal modes', () => {
  it('sets and clears flags', () => {
    expect(word(applied(0, [53, 1]), 12)).toBe(0o10); // ECHO
    expect(word(applied(0xff, [53, 0]), 12)).toBe(0xffff_ffff - 0o10);
    expect(word(applied(0, [36, 1], [42, 1]), 0)).toBe(0o40400); // ICRNL IUTF8
    expect(word(applied(0, [70, 1], [72, 1]), 4)).toBe(0o5); // OPOST ONLCR
  });
  it('sets characters; 255 turns one off', () => {
    expect(applied(1, [1, 3], [3, 127], [5, 255]).subarray(17, 22)).toEqual(Buffer.of(3, 1, 127, 1, 0));
  });
  it('sets the character size', () => {
    expect(word(applied(0, [91, 1]), 8)).toBe(0o60);
    expect(word(applied(0, [90, 1]), 8)).toBe(0o40);
  });
  it('leaves everything else, and never writes beyond the structure', () => {
    expect(applied(7, [128, 38_400], [129, 38_400], [77, 1])).toEqual(Buffer.alloc(60, 7));
    fc.assert(
      fc.property(
        fc.dictionary(fc.integer({ min: 0, max: 255 }).map(String), fc.nat({ max: 0xffff_ffff })),
        (modes) => {
          const entries = Object.entries(modes).map(([op, value]) => [Number(op), value] as [number, number]);
          const termios = applied(0, ...entries);
          expect(termios[16]).toBe(0); // c_line
          expect(termios.subarray(17 + 17)).toEqual(Buffer.alloc(26));
        },
      ),
    );
  });
});
