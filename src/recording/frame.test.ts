import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isCoded } from '../base/errors.ts';
import { decodeFrames, encodeFrame, type FrameContent } from './frame.ts';
import { testAbout } from './testing.ts';

const size = fc.integer({ min: 0, max: 65_535 });
const who = fc.record({ user: fc.string(), mode: fc.constantFrom('owner', 'observer', 'peer', 'moderator') });
const content: fc.Arbitrary<FrameContent> = fc.oneof(
  fc.constant({ type: 'start' as const, about: testAbout }),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => ({ type: 'output' as const, bytes: Buffer.from(bytes) })),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => ({ type: 'input' as const, bytes: Buffer.from(bytes) })),
  fc.record({ type: fc.constant('resize' as const), columns: size, rows: size }),
  fc.record({ type: fc.constantFrom('joined' as const, 'left' as const), who }),
  fc.record({
    type: fc.constant('gap' as const),
    gap: fc.record({ bytes: fc.maxSafeNat(), reason: fc.string() }),
  }),
  fc.string().map((exit) => ({ type: 'end' as const, exit: exit.toWellFormed() })),
);

describe('frames', () => {
  it('are read as they were written, with their times added up', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(content, fc.nat(2 ** 40)), { maxLength: 20 }), (frames) => {
        const bytes = Buffer.concat(frames.map(([one, sinceMs]) => encodeFrame(one, sinceMs)));
        let atMs = 0;
        const expected = frames.map(([one, sinceMs]) => ({ atMs: (atMs += sinceMs), ...one }));
        expect([...decodeFrames(bytes)]).toEqual(expected);
      }),
    );
  });

  it('of any bytes are frames or an error with a code, and end', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        try {
          for (const frame of decodeFrames(Buffer.from(bytes))) expect(frame.atMs).toBeGreaterThanOrEqual(0);
        } catch (e) {
          expect(isCoded(e, 'damaged')).toBe(true);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('of a type that is not known are passed over', () => {
    const known = encodeFrame({ type: 'end', exit: '0' }, 5);
    const bytes = Buffer.concat([Buffer.of(99, 3, 2, 1, 2), known]);
    expect([...decodeFrames(bytes)]).toEqual([{ atMs: 8, type: 'end', exit: '0' }]);
  });

  it('cut short anywhere are an error, never less', () => {
    const bytes = encodeFrame({ type: 'output', bytes: Buffer.from('0123456789') }, 300);
    for (let length = 1; length < bytes.length; length++)
      expect(() => [...decodeFrames(bytes.subarray(0, length))]).toThrow(/cut short/);
    expect(() => [...decodeFrames(Buffer.from('02ffffffffffffffffff7f', 'hex'))]).toThrow(/too large/);
    expect(() => [...decodeFrames(Buffer.of(5, 0, 2, 0x7b, 0x7d))]).toThrow(/not what its type says/);
    expect(() => [...decodeFrames(Buffer.of(4, 0, 2, 1, 1))]).toThrow(/cut short/);
  });
});
