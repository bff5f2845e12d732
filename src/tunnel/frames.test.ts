import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CodedError } from '../base/errors.ts';
import {
  type Frame,
  frame,
  frameHeader,
  FrameReader,
  frameTypes,
  type FrameType,
  mostControlBytes,
  mostDataBytes,
} from './frames.ts';

/** Bodies that have one size only. */
const sizes: Partial<Record<FrameType, number>> = { credit: 4, end: 0, reset: 0 };
const anyType = fc.constantFrom(...(Object.keys(frameTypes) as FrameType[]));
const anyFrame = fc
  .tuple(anyType, fc.nat(2 ** 32 - 1), fc.uint8Array({ maxLength: 300 }))
  .map(([type, stream, bytes]): Frame => {
    const wanted = sizes[type];
    return { type, stream, body: wanted === undefined ? Buffer.from(bytes) : Buffer.alloc(wanted, 7) };
  });

function readIn(bytes: Buffer, cuts: readonly number[]): Frame[] {
  const frames: Frame[] = [];
  const reader = new FrameReader((one) => frames.push(one));
  let at = 0;
  for (const cut of [...cuts.map((one) => one % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)) {
    reader.push(bytes.subarray(at, cut));
    at = cut;
  }
  return frames;
}

/** Data may come in parts; here they are put together again, and what has no bytes is left out. */
function joined(frames: readonly Frame[]): Frame[] {
  const out: Frame[] = [];
  for (const one of frames) {
    const last = out.at(-1);
    if (one.type !== 'data' || last?.type !== 'data' || last.stream !== one.stream) out.push(one);
    else out[out.length - 1] = { ...last, body: Buffer.concat([last.body, one.body]) };
  }
  return out.map(({ type, stream, body }) => ({ type, stream, body: Buffer.from(body) }));
}

describe('frames of a link', () => {
  it('are read as they were written, in whatever pieces they come', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 12 }), fc.array(fc.nat()), (frames, cuts) => {
        const bytes = Buffer.concat(frames.map(({ type, stream, body }) => frame(type, stream, body)));
        expect(joined(readIn(bytes, cuts))).toEqual(joined(frames));
      }),
    );
  });
  it('are refused with one code whatever the bytes are, and hand on nothing that breaks a rule', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (bytes, asType) => {
        const sent = Buffer.from(bytes);
        // Most random bytes end at the first one.
        if (asType && sent.length > 8) sent.set([1 + ((sent[0] ?? 0) % 11), 0, 0, 0, 1, 0, 0, 0], 0);
        const frames: Frame[] = [];
        const reader = new FrameReader((one) => frames.push(one));
        try {
          for (const byte of sent) reader.push(Buffer.of(byte));
        } catch (e) {
          expect(e).toBeInstanceOf(CodedError);
          expect(e).toMatchObject({ code: 'bad_request' });
        }
        for (const { type, body } of frames)
          if (type !== 'data' && sizes[type] !== undefined) expect(body.length).toBe(sizes[type]);
      }),
    );
  });
  it('are refused by their header when they are too large, before anything of them is held', () => {
    for (const type of Object.keys(frameTypes) as FrameType[]) {
      const most = sizes[type] ?? (type === 'data' ? mostDataBytes : mostControlBytes);
      const reader = new FrameReader(() => undefined);
      expect(() => {
        reader.push(frameHeader(type, 1, most + 1));
      }).toThrow(expect.objectContaining({ code: 'bad_request' }));
      expect(() => {
        new FrameReader(() => undefined).push(frameHeader(type, 1, most));
      }).not.toThrow();
    }
  });
  it('are not written when the other end would refuse them', () => {
    expect(frame('data', 1, Buffer.alloc(mostDataBytes)).length).toBe(mostDataBytes + 9);
    for (const [type, most] of [
      ['data', mostDataBytes],
      ['notice', mostControlBytes],
    ] as const)
      expect(() => frame(type, 1, Buffer.alloc(most + 1))).toThrow(
        expect.objectContaining({ code: 'too_large' }),
      );
  });
});
