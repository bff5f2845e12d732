import { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { ConnectionLayer } from './connection-layer.ts';
import type { Protocol } from './ssh2-internals.ts';
import { SshTransport } from './ssh-transport.ts';

/** A transport over as much of ssh2's as it touches, which keeps what is sent while keys are exchanged. */
function connection({ isRead = true } = {}) {
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
    _onPayload: () => undefined,
    _packetRW: {
      write: {
        allocStart: 0,
        allocStartKEX: 0,
        alloc: (size: number) => Buffer.alloc(size),
        finalize: (packet: Buffer) => packet,
      },
    },
    isSpent: () => false,
    loggedIn: () => undefined,
    stop: () => undefined,
    rekey: () => undefined,
  };
  const transport = new SshTransport({
    protocol: protocol as unknown as Protocol,
    ...{ socket, keepaliveMs: 0, keepaliveCountMax: 3, onFault: () => undefined },
  });
  transport.start({ lost: () => undefined, pump: () => undefined } as unknown as ConnectionLayer);
  return { transport, protocol, socket, sent };
}
const mib = 1024 * 1024;
const words = (sent: readonly Buffer[]): string => String(sent.at(-1)?.toString('latin1', 9));

describe('while keys are exchanged', () => {
  it('a peer that never ends it cannot make us keep answers without end, small as they are', () => {
    const { transport, protocol, socket, sent } = connection();
    protocol._kexinit = Buffer.alloc(1);
    for (let n = 0; n < 1_000_000 && !socket.destroyed; n++) transport.send(Buffer.of(81));
    expect(socket.destroyed).toBe(true);
    expect(words(sent)).toContain('you do not exchange keys');
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
