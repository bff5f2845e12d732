import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Reader, WireError } from '../pki/wire.ts';
import * as wire from './connection-messages.ts';

const id = fc.nat(0xffff_ffff);
const bytes = fc.uint8Array({ maxLength: 64 }).map((b) => Buffer.from(b));
const name = fc.string({ maxLength: 20, unit: 'grapheme' }).filter((s) => !s.includes('\0'));

describe('reading connection messages', () => {
  it('reads back what was written', () => {
    fc.assert(
      fc.property(fc.tuple(id, id, id), bytes, name, fc.boolean(), ([a, b, c], data, text, wantReply) => {
        const read = (payload: Buffer): unknown => wire.parseConnectionMessage(payload);
        expect(read(Buffer.concat([wire.dataHeader(a, data.length), data]))).toEqual({
          type: 'data',
          recipient: a,
          data,
        });
        expect(read(Buffer.concat([wire.stderrHeader(a, data.length), data]))).toEqual({
          type: 'extended-data',
          recipient: a,
          code: wire.STDERR,
          data,
        });
        expect(read(wire.channelRequest(a, text, wantReply, data))).toEqual({
          type: 'request',
          recipient: a,
          name: text,
          wantReply,
          data,
        });
        expect(read(wire.globalRequest(text, wantReply, data))).toEqual({
          type: 'global-request',
          name: text,
          wantReply,
          data,
        });
        const open = { channelType: text, sender: a, window: b, maxPacket: c, data };
        expect(read(wire.open(open))).toEqual({ type: 'open', ...open });
        expect(read(wire.openConfirmation(a, b, c, a))).toMatchObject({
          recipient: a,
          sender: b,
          window: c,
          maxPacket: a,
        });
        expect(read(wire.windowAdjust(a, b))).toEqual({ type: 'window-adjust', recipient: a, bytes: b });
        for (const [make, type] of [
          [wire.eof, 'eof'],
          [wire.close, 'close'],
          [wire.success, 'success'],
          [wire.failure, 'failure'],
        ] as const)
          expect(read(make(a))).toEqual({ type, recipient: a });
      }),
    );
  });

  it('names each reason for a refused channel', () => {
    for (const failure of ['prohibited', 'connect_failed', 'unknown_type', 'resource_shortage'] as const) {
      const message = wire.parseConnectionMessage(wire.openFailure(1, failure, 'why'));
      expect(message).toMatchObject({ type: 'open-failure', description: 'why' });
      if (message.type === 'open-failure') expect(wire.openFailureOf(message.reason)).toBe(failure);
    }
    expect(wire.openFailureOf(77)).toBe('connect_failed');
  });

  it('throws nothing but WireError at any bytes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 80, max: 127 }), fc.uint8Array({ maxLength: 80 }), (type, body) => {
        try {
          wire.parseConnectionMessage(Buffer.concat([Buffer.of(type), body]));
        } catch (e) {
          expect(e).toBeInstanceOf(WireError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses every message that is cut short', () => {
    const whole = wire.open({
      channelType: 'session',
      sender: 1,
      window: 2,
      maxPacket: 3,
      data: Buffer.alloc(0),
    });
    for (let n = 1; n < whole.length; n++)
      expect(() => wire.parseConnectionMessage(whole.subarray(0, n))).toThrow(WireError);
  });
});

describe('reading what requests carry', () => {
  it('exit status and signal', () => {
    for (const exit of [
      { status: 'exited', code: 255 },
      { status: 'signalled', signal: 'KILL', coreDumped: true, message: 'out of memory' },
    ] as const) {
      const request = wire.exitRequest(exit);
      expect(wire.parseExit(request?.name ?? '', request?.data ?? Buffer.alloc(0))).toEqual(exit);
    }
    expect(wire.exitRequest({ status: 'unknown' })).toBeUndefined();
    expect(wire.parseExit('keepalive@openssh.com', Buffer.alloc(0))).toBeUndefined();
  });

  it('terminal modes, up to the end mark and no further', () => {
    const modes = new Map([
      [53, 0],
      [128, 38400],
    ]);
    expect(wire.parseModes(wire.encodeModes(modes))).toEqual(modes);
    expect(wire.parseModes(Buffer.of(0, 1, 2))).toEqual(new Map());
    expect(wire.parseModes(Buffer.of(200, 1))).toEqual(new Map());
    expect(wire.parseModes(Buffer.alloc(0))).toEqual(new Map());
    expect(() => wire.parseModes(Buffer.of(1, 0, 0))).toThrow(WireError);
  });

  it('window sizes', () => {
    const size = { columns: 80, rows: 25, widthPixels: 640, heightPixels: 0 };
    expect(wire.readWindowSize(new Reader(wire.windowSize(size)))).toEqual(size);
  });

  it('forward addresses, with a port that exists', () => {
    expect(wire.parseForward(wire.forwardData('node1', 22, '1.2.3.4', 5))).toEqual({
      host: 'node1',
      port: 22,
      originHost: '1.2.3.4',
      originPort: 5,
    });
    expect(() => wire.parseForward(wire.forwardData('node1', 65536, '', 0))).toThrow('port out of range');
  });
});
