import { Duplex } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { hour, second } from '../base/duration.ts';
import { WireError } from '../pki/wire.ts';
import type { ConnectionLayer } from './connection-layer.ts';
import type { Protocol } from './ssh2-internals.ts';
import { SshTransport } from './ssh-transport.ts';

/** A transport over as much of ssh2's as it touches, which keeps what is sent while keys are exchanged. */
function connection({ isRead = true, keepaliveMs = 0, isStarted = true } = {}) {
  const socket = new Duplex({
    read: () => undefined,
    write: (_chunk, _encoding, done) => {
      if (isRead) done();
    },
  });
  const queue: Buffer[] = [];
  const sent: Buffer[] = [];
  const protocol = {
    _kexinit: undefined as Buffer | undefined,
    _queue: queue,
    _cipher: {
      encrypt: (packet: Buffer) => {
        sent.push(packet);
        socket.write(Buffer.alloc(35 + packet.length)); // with length, padding and tag
      },
    },
    _destruct: () => undefined,
    _onPayload: vi.fn<(payload: Buffer) => unknown>(),
    _packetRW: {
      write: {
        allocStart: 0,
        allocStartKEX: 0,
        alloc: (size: number) => Buffer.alloc(size),
        finalize: (packet: Buffer) => packet,
      },
    },
    isSpent: vi.fn<(bytes: number) => boolean>(() => false),
    loggedIn: vi.fn(),
    stop: vi.fn(),
    rekey: vi.fn(),
    onProgress: () => undefined,
  };
  const faults: unknown[] = [];
  const layer = {
    lost: vi.fn(),
    pump: vi.fn(),
    receive: vi.fn(),
    globalRequest: vi.fn(() => Promise.resolve(undefined)),
  };
  const transport = new SshTransport({
    protocol: protocol as unknown as Protocol,
    ...{ socket, keepaliveMs, keepaliveCountMax: 3, onFault: (e) => faults.push(e) },
  });
  const start = (): void => {
    transport.start(layer as unknown as ConnectionLayer);
  };
  if (isStarted) start();
  return { transport, protocol, socket, sent, layer, faults, start };
}
afterEach(() => vi.useRealTimers());
const mib = 1024 * 1024;
/** A message of the peer. False: it is the last that is looked at. */
const hear = (protocol: { _onPayload: (payload: Buffer) => unknown }, payload: Buffer): boolean =>
  protocol._onPayload(payload) === undefined;
const words = (sent: readonly Buffer[]): string => String(sent.at(-1)?.toString('latin1', 9));

describe('while keys are exchanged', () => {
  it('a peer that never ends it cannot make us keep answers without end, small as they are', () => {
    const { transport, protocol, socket, sent } = connection();
    protocol._kexinit = Buffer.alloc(1);
    for (let n = 0; n < 1_000_000 && !socket.destroyed; n++) transport.send(Buffer.of(81));
    expect(socket.destroyed).toBe(true);
    expect(words(sent)).toContain('you do not exchange keys');
  });

  it('a mebibyte may wait, each message counted with what it costs besides, and not a byte more', () => {
    const waits = (...sizes: number[]): boolean => {
      const { transport, protocol, socket } = connection();
      protocol._kexinit = Buffer.alloc(1);
      for (const size of sizes) transport.send(Buffer.alloc(1), Buffer.alloc(size - 1 - 128));
      return !socket.destroyed;
    };
    expect([waits(mib), waits(mib + 1)]).toEqual([true, false]);
    expect([waits(mib / 2, mib / 2), waits(mib / 2, mib / 2 + 1)]).toEqual([true, false]);
  });

  it('what waits is counted anew with each exchange', () => {
    const { transport, protocol, socket } = connection();
    for (let n = 0; n < 4; n++) {
      protocol._kexinit = Buffer.alloc(1);
      transport.send(Buffer.alloc(1), Buffer.alloc((3 / 4) * mib));
      protocol._kexinit = undefined;
      transport.keysRenewed();
      transport.send(Buffer.alloc(1), Buffer.alloc((3 / 4) * mib));
    }
    expect(socket.destroyed).toBe(false);
  });
});

it('a peer that reads no answer is left before what waits for it costs tens of megabytes', () => {
  const { transport, sent } = connection({ isRead: false });
  while (transport.writable()) transport.send(Buffer.alloc(9), Buffer.alloc(32 * 1024)); // as much as channels may
  expect(transport.endedHere).toBe(false);
  const before = sent.length;
  while (sent.length - before < 100_000 && !transport.endedHere) transport.send(Buffer.of(81));
  expect(transport.endedHere).toBe(true);
  expect(sent.length - before).toBeGreaterThan(10_000); // nobody who is only slow
  expect(words(sent)).toContain('you do not read');
});

it('two mebibytes may wait for a peer that does not read, and not a byte more', () => {
  const { transport, socket } = connection({ isRead: false });
  const before = socket.writableLength;
  transport.send(Buffer.of(81));
  const each = socket.writableLength - before;
  socket.write(Buffer.alloc(2 * mib - socket.writableLength - each));
  transport.send(Buffer.of(81));
  expect([socket.writableLength, transport.endedHere]).toEqual([2 * mib, false]);
  transport.send(Buffer.of(81));
  expect(transport.endedHere).toBe(true);
});

describe('keepalives', () => {
  it('are asked for in their time, and a peer that was silent for four rounds is left', () => {
    vi.useFakeTimers();
    const { layer, sent, transport } = connection({ keepaliveMs: 10 * second });
    vi.advanceTimersByTime(10 * second - 1);
    expect(layer.globalRequest).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(layer.globalRequest).toHaveBeenLastCalledWith('keepalive@openssh.com', Buffer.alloc(0));
    vi.advanceTimersByTime(30 * second);
    expect([transport.endedHere, transport.gaveUp]).toEqual([false, false]);
    vi.advanceTimersByTime(10 * second);
    expect([transport.endedHere, layer.globalRequest.mock.calls.length]).toEqual([true, 4]);
    vi.advanceTimersByTime(10 * second);
    expect(transport.gaveUp).toBe(true);
    expect(words(sent)).toContain('no answer to keepalives');
  });

  it('count only rounds in which nothing at all was heard', () => {
    vi.useFakeTimers();
    const { protocol, transport } = connection({ keepaliveMs: 10 * second });
    for (let n = 0; n < 20; n++) {
      vi.advanceTimersByTime(30 * second);
      hear(protocol, Buffer.of(94));
    }
    expect(transport.endedHere).toBe(false);
  });

  it('are not asked for where they are turned off', () => {
    vi.useFakeTimers();
    const { layer } = connection();
    vi.advanceTimersByTime(hour);
    expect(layer.globalRequest).not.toHaveBeenCalled();
  });

  it("that fail with the connection are nobody else's trouble", async () => {
    vi.useFakeTimers();
    const { layer } = connection({ keepaliveMs: second });
    layer.globalRequest.mockRejectedValue(new Error('the connection was closed'));
    await vi.advanceTimersByTimeAsync(second);
    expect(layer.globalRequest).toHaveBeenCalledOnce();
  });
});

describe('new keys', () => {
  it('are made every hour, and not after the end', () => {
    vi.useFakeTimers();
    const { protocol, transport, socket } = connection();
    vi.advanceTimersByTime(hour - 1);
    expect(protocol.rekey).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(protocol.rekey).toHaveBeenCalledOnce();
    transport.close('over');
    socket.destroy();
    vi.advanceTimersByTime(5 * hour);
    expect(protocol.rekey).toHaveBeenCalledOnce();
  });

  it('are made when those in use are spent, by what is sent and by what comes, and once', () => {
    const { protocol, transport } = connection();
    protocol.isSpent.mockReturnValue(true);
    transport.send(Buffer.of(81));
    expect([protocol.rekey.mock.calls.length, protocol.isSpent.mock.calls]).toEqual([1, [[2 ** 30]]]);
    protocol.onProgress();
    expect(protocol.rekey).toHaveBeenCalledTimes(2);
    protocol._kexinit = Buffer.alloc(1);
    protocol.onProgress();
    expect(protocol.rekey).toHaveBeenCalledTimes(2);
  });

  it('are not made before the login', () => {
    const { protocol, start } = connection({ isStarted: false });
    protocol.isSpent.mockReturnValue(true);
    protocol.onProgress();
    expect(protocol.rekey).not.toHaveBeenCalled();
    start();
    protocol.onProgress();
    expect([protocol.rekey, protocol.loggedIn].map((one) => one.mock.calls.length)).toEqual([1, 1]);
  });

  it('let what waited go on', () => {
    const { transport, layer } = connection();
    transport.keysRenewed();
    expect(layer.pump).toHaveBeenCalledOnce();
  });
});

describe('a message', () => {
  it('goes to the channels', () => {
    const { protocol, layer, faults } = connection();
    expect(hear(protocol, Buffer.of(94, 1))).toBe(true);
    expect(layer.receive).toHaveBeenCalledWith(Buffer.of(94, 1));
    expect(faults).toEqual([]);
  });

  it('that breaks the protocol ends the connection at once, with a fault', () => {
    const { protocol, layer, faults, sent, socket } = connection();
    const fault = new WireError('no channel 7');
    layer.receive.mockImplementation(() => {
      throw fault;
    });
    expect(hear(protocol, Buffer.of(94))).toBe(false);
    expect(faults).toEqual([fault]);
    expect(words(sent)).toContain('protocol error');
    expect(socket.destroyed).toBe(true);
    expect(hear(protocol, Buffer.of(94))).toBe(false);
    expect(layer.receive).toHaveBeenCalledOnce();
  });

  it('before the login ends it, too', () => {
    const { protocol, faults, socket } = connection({ isStarted: false });
    expect(hear(protocol, Buffer.of(90))).toBe(false);
    expect(faults).toEqual([new WireError('asked for channels before logging in')]);
    expect(socket.destroyed).toBe(true);
  });
});

describe('closing', () => {
  it('says why, lets the peer read it, and waits for it no longer than two seconds', () => {
    vi.useFakeTimers();
    const { transport, protocol, socket, sent } = connection();
    transport.close('the server is stopping');
    expect(words(sent)).toContain('the server is stopping');
    expect(sent.at(-1)?.readUInt32BE(1)).toBe(11);
    expect([socket.writableEnded, socket.destroyed, transport.endedHere]).toEqual([true, false, true]);
    expect(protocol.stop).toHaveBeenCalledOnce();
    vi.advanceTimersByTime(1_999);
    expect(socket.destroyed).toBe(false);
    vi.advanceTimersByTime(1);
    expect(socket.destroyed).toBe(true);
  });

  it('is over when the peer has ended its side', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { transport, socket } = connection();
    transport.close('over');
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.push(null);
    socket.resume();
    await closed;
    expect(vi.getTimerCount()).toBe(0);
  });

  it('happens once, and nothing is sent after it', () => {
    vi.useFakeTimers();
    const { transport, sent, socket } = connection();
    transport.close('first');
    const before = sent.length;
    transport.close('second');
    transport.send(Buffer.of(81));
    expect(sent).toHaveLength(before);
    socket.destroy();
  });

  it('of a socket that is gone says nothing', () => {
    const { transport, sent, socket } = connection();
    socket.destroy();
    transport.close('over');
    expect(sent).toEqual([]);
  });

  it('of the socket ends every channel', async () => {
    const { layer, socket, transport } = connection();
    socket.destroy();
    await new Promise((resolve) => socket.once('close', resolve));
    expect(layer.lost).toHaveBeenCalledOnce();
    expect(transport.endedHere).toBe(false);
  });

  it('before the login was served ends every channel at once', () => {
    const { layer, socket, start } = connection({ isStarted: false });
    socket.destroy();
    start();
    expect(layer.lost).toHaveBeenCalledOnce();
  });
});

it('a socket that takes more again lets channels go on', () => {
  const { layer, socket } = connection();
  socket.emit('drain');
  expect(layer.pump).toHaveBeenCalledOnce();
});

it('channel data waits while keys are exchanged, and while the socket holds a mebibyte', () => {
  const { transport, protocol, socket } = connection({ isRead: false });
  expect(transport.writable()).toBe(true);
  protocol._kexinit = Buffer.alloc(1);
  expect(transport.writable()).toBe(false);
  protocol._kexinit = undefined;
  socket.write(Buffer.alloc(mib - 1));
  expect(transport.writable()).toBe(true);
  socket.write(Buffer.alloc(1));
  expect(transport.writable()).toBe(false);
});
