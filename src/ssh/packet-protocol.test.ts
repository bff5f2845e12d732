import { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { PacketFrame } from './packet-frame.ts';
import { plainOpening, plainSealing } from './packet-keys.ts';
import { PacketReceiver, PacketSender } from './packet-layer.ts';
import { inFrontOf, overSocket, type PacketProtocol } from './packet-protocol.ts';

/** As much of ssh2's class as ours touches. What its handlers answer is up to the test. */
class Base {
  readonly written: Buffer[] = [];
  readonly errors: string[] = [];
  readonly seen: string[] = [];
  _server = true;
  answer: (payload: Buffer) => number | false | undefined = () => undefined;
  _cipher = new PacketSender(plainSealing, { block: 8, coversLength: true }, 0, (packet) => {
    this.written.push(packet);
  });
  _decipher: PacketReceiver | undefined;
  _packetRW = {
    write: {
      allocStartKEX: 5,
      alloc: (size: number) => this._cipher.allocPacket(size),
      finalize: (packet: Buffer) => packet,
    },
  };
  _destruct: (() => void) | undefined = () => {
    this._destruct = undefined;
    (this as unknown as { parse: unknown }).parse = () => {
      throw new Error('unusable');
    };
  };
  _onError = (error: Error): void => {
    this.errors.push(error.message);
  };
  _parse = (chunk: Buffer, at: number, end: number): number | undefined => {
    if (this._decipher !== undefined) return this._decipher.decrypt(chunk, at, end);
    this.seen.push(chunk.toString('latin1', at, end));
    this._decipher = new PacketReceiver(new PacketFrame(plainOpening, 8, true), 0, (payload) => {
      this.seen.push(payload.toString('latin1'));
      return this.answer(payload);
    });
    return end;
  };
}

type Tested = PacketProtocol & Pick<Base, 'written' | 'errors' | 'seen' | 'answer'>;

function connection(): { p: Tested; socket: Duplex; feed: (bytes: Buffer | string) => void } {
  const socket = new Duplex({
    read: () => undefined,
    write: (_chunk, _encoding, done) => {
      done();
    },
  });
  const Bound = inFrontOf(Base);
  const p = overSocket(socket, () => new Bound({})) as Tested;
  const feed = (bytes: Buffer | string): void => {
    const all = Buffer.from(bytes);
    p.parse(all, 0, all.length);
  };
  return { p, socket, feed };
}
const packet = (message: string): Buffer => {
  const wire: Buffer[] = [];
  const out = new PacketSender(plainSealing, { block: 8, coversLength: true }, 0, (data) => wire.push(data));
  const one = out.allocPacket(message.length);
  one.set(Buffer.from(message), 5);
  out.encrypt(one);
  return Buffer.concat(wire);
};
const impossible = Buffer.from('7ffffff404', 'hex');
const ident = 'SSH-2.0-x\r\n';

describe('after the first error', () => {
  it('of a packet: DISCONNECT goes out, the socket is gone, nothing more is looked at', () => {
    const { p, socket, feed } = connection();
    feed(Buffer.concat([Buffer.from(ident), packet('one'), impossible, packet('two')]));
    expect(p.seen).toEqual([ident, 'one']);
    expect(p.errors).toEqual(['a packet claims 2147483636 bytes, at most 35000 are taken']);
    expect(p.written).toHaveLength(1);
    expect(p.written[0]?.[5]).toBe(1);
    expect(p.written[0]?.toString('latin1')).toContain('a packet claims');
    expect(socket.destroyed).toBe(true);
    for (const more of [packet('three'), Buffer.alloc(1 << 20)]) feed(more);
    expect(p.seen).toEqual([ident, 'one']);
    expect(p.errors).toHaveLength(1);
  });

  it('of a handler', () => {
    const { p, socket, feed } = connection();
    feed(ident);
    p.answer = () => {
      throw new Error('a bug');
    };
    feed(Buffer.concat([packet('one'), packet('two')]));
    feed(packet('three'));
    expect(p.seen).toEqual([ident, 'one']);
    expect(p.errors).toEqual(['a bug']);
    expect(p.written[0]?.toString('latin1')).toContain('protocol error'); // not what is ours to know
    expect(socket.destroyed).toBe(true);
  });

  it('that ssh2 found by itself', () => {
    const { p, socket, feed } = connection();
    feed(ident);
    p.answer = () => {
      p._destruct?.();
      return Infinity;
    };
    feed(Buffer.concat([packet('one'), packet('two')]));
    feed(packet('three'));
    expect(p.seen).toEqual([ident, 'one']);
    expect(socket.destroyed).toBe(true);
  });

  it('that the connection layer found, which closes by itself', () => {
    const { p, socket, feed } = connection();
    feed(ident);
    p.answer = () => Infinity;
    feed(Buffer.concat([packet('one'), packet('two')]));
    feed(packet('three'));
    expect(p.seen).toEqual([ident, 'one']);
    expect(socket.destroyed).toBe(false);
  });

  it('or once we say goodbye, whatever still comes', () => {
    const { p, feed } = connection();
    feed(Buffer.concat([Buffer.from(ident), packet('one')]));
    p.stop();
    feed(packet('two'));
    expect(p.seen).toEqual([ident, 'one']);
  });

  it('of an identification: no packet could be read', () => {
    const { p, socket, feed } = connection();
    feed('GET / HTTP/1.1\r\n');
    feed(ident);
    expect(p.seen).toEqual([]);
    expect(p.written).toEqual([]);
    expect(p.errors).toHaveLength(1);
    expect(socket.destroyed).toBe(true);
  });
});

describe('before the login', () => {
  const many = (): Buffer => packet('x'.repeat(30_000));
  it('a mebibyte is all that is taken', () => {
    const { p, socket, feed } = connection();
    feed(ident);
    for (let i = 0; i < 34; i++) feed(many());
    expect(p.errors).toEqual([]);
    feed(many());
    expect(p.errors).toEqual(['more than 1048576 bytes came before the login']);
    expect(socket.destroyed).toBe(true);
  });

  it('and after it as much as there is, in packets of up to 256 KiB', () => {
    const { p, feed } = connection();
    feed(ident);
    p.loggedIn();
    for (let i = 0; i < 100; i++) feed(many());
    feed(packet('y'.repeat(250_000)));
    expect(p.errors).toEqual([]);
    expect(p.seen).toHaveLength(102);
    feed(packet('z'.repeat(256 * 1024)));
    expect(p.errors).toEqual([expect.stringMatching(/at most 262144 are taken/)]);
  });
});

it('keys are spent by bytes of both directions, and by packets', () => {
  const { p, feed } = connection();
  expect(p.isSpent(1)).toBe(false);
  feed(ident);
  const progress: boolean[] = [];
  p.onProgress = () => progress.push(p.isSpent(100));
  feed(packet('x'.repeat(50)));
  feed(packet('x'.repeat(50)));
  expect(progress).toEqual([false, true]);
  p._cipher.packets = 2 ** 31;
  expect(p.isSpent(2 ** 40)).toBe(true);
});

it('keys that nobody renews end the connection before a number comes twice', () => {
  const { p, feed } = connection();
  feed(ident);
  if (p._decipher !== undefined) p._decipher.packets = 2 ** 32;
  feed(packet('one'));
  expect(p.errors).toEqual(['the peer sends without end under the same keys']);
  const out = new PacketSender(plainSealing, { block: 8, coversLength: true }, 0, () => undefined);
  out.packets = 2 ** 32;
  expect(() => {
    out.encrypt(out.allocPacket(1));
  }).toThrow(/as many packets as they may/);
});
