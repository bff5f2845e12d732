import { describe, expect, it } from 'vitest';
import { PacketFrame } from './packet-frame.ts';
import { plainOpening } from './packet-keys.ts';

describe('a packet that comes slowly', () => {
  it('takes room for what has come, never for what it claims', () => {
    const frame = new PacketFrame(plainOpening, 8, true);
    frame.maxBytes = 256 * 1024;
    const length = 256 * 1024 - 4;
    const head = Buffer.alloc(5);
    head.writeUInt32BE(length);
    head[4] = 4;
    let come = 0;
    const feed = (bytes: Buffer): Buffer | undefined => {
      const took = frame.take(bytes, 0, bytes.length, 0);
      come += took.at;
      return took.payload;
    };
    feed(head);
    expect(frame.roomBytes).toBeLessThanOrEqual(2 * come);
    let payload: Buffer | undefined;
    while (payload === undefined) {
      expect(frame.roomBytes).toBeLessThanOrEqual(Math.min(2 * come, length + 4));
      payload = feed(Buffer.alloc(Math.min(1000, length + 4 - come), 7));
    }
    expect(payload.length).toBe(length - 1 - 4);
    expect(frame.roomBytes).toBe(0);
  });
});
