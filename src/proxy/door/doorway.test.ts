import { type AddressInfo, connect, type Socket } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { dialAnybody } from '../../base/dial-tls.ts';
import { relayProtocol } from '../../base/relay-protocol.ts';
import { linkProtocol } from '../../tunnel/link-tls.ts';
import { type Doorway, doorway, showIn } from './doorway.ts';
import { recognise, type Visitor } from './recognise.ts';

async function helloFor(...protocols: string[]): Promise<Buffer> {
  const [near, far] = duplexPair();
  const socket = dialAnybody({ socket: near, ALPNProtocols: protocols });
  socket.on('error', () => undefined);
  const bytes = await new Promise<Buffer>((resolve) => far.once('data', resolve));
  socket.destroy();
  far.destroy();
  return bytes;
}
const visitors: readonly (readonly [Visitor, Buffer])[] = [
  ['ssh', Buffer.from('SSH-2.0-x\r\n')],
  ['plain', Buffer.from('GET / HTTP/1.1\r\n')],
  ['plain', Buffer.from('SSX')],
  ['plain', Buffer.from([0])],
  ['link', await helloFor('h2', linkProtocol)],
  ['auth', await helloFor('h2', relayProtocol)],
  ['tls', await helloFor('h2')],
  ['tls', Buffer.from([0x16, 2, 0, 0, 0, 0])],
];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('the door', () => {
  it.each(visitors)('knows %s by its first bytes, in whatever pieces they come', async (visitor, first) => {
    const [near, far] = duplexPair();
    const come: Visitor[] = [];
    const got: Buffer[] = [];
    const serve = (name: Visitor) => (connection: typeof far) => {
      come.push(name);
      connection.on('data', (part: Buffer) => got.push(part));
    };
    const routes = { ssh: serve('ssh'), link: serve('link'), auth: serve('auth'), tls: serve('tls') };
    showIn(far, { ...routes, plain: serve('plain') }, 10_000);
    for (const byte of first) {
      near.write(Buffer.of(byte));
      if (come.length === 0) await turn();
    }
    near.write('and more');
    await turn();
    expect(come).toEqual([visitor]);
    expect(Buffer.concat(got)).toEqual(Buffer.concat([first, Buffer.from('and more')]));
    await vi.advanceTimersByTimeAsync(20_000);
    expect(far.destroyed).toBe(false);
  });
  it('turns away whom nobody serves, who shows nothing in time, and who leaves before', async () => {
    for (const [said, afterMs, ends] of [
      ['GET ', 0, false],
      ['SSH', 10_000, false],
      ['', 10_000, false],
      ['SS', 0, true],
    ] as const) {
      const [near, far] = duplexPair();
      showIn(far, { ssh: () => expect.unreachable() }, 10_000);
      if (said !== '') near.write(said);
      if (ends) near.end();
      for (let n = 0; n < 5; n++) await turn();
      if (afterMs > 0) {
        await vi.advanceTimersByTimeAsync(afterMs - 1);
        expect(far.destroyed).toBe(false);
        await vi.advanceTimersByTimeAsync(1);
      }
      expect(far.destroyed).toBe(true);
    }
  });
  it('does not know what may still become one or the other', () => {
    for (const text of ['', 'S', 'SS', 'SSH', '\x16', '\x16\x03\x01'])
      expect(recognise(Buffer.from(text, 'latin1'))).toBeUndefined();
  });
});

const opened: Doorway[] = [];
afterEach(async () => {
  for (const port of opened.splice(0)) await port.close(Promise.resolve());
});

async function listening(served: Duplex[]): Promise<{ readonly port: Doorway; readonly socket: Socket }> {
  const port = doorway({ ssh: (stream) => served.push(stream) }, 10_000);
  opened.push(port);
  await new Promise<void>((done) => port.server.listen(0, '127.0.0.1', done));
  const socket = connect((port.server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('error', () => undefined); // it may be reset
  return { port, socket };
}

describe('a port', () => {
  it('waits for what is open, until its time is over', async () => {
    const served: Duplex[] = [];
    const { port, socket } = await listening(served);
    socket.write('SSH-2.0-x\r\n');
    while (served.length === 0) await new Promise(setImmediate);
    const over = Promise.withResolvers<undefined>();
    let closed = false;
    const closing = port.close(over.promise.then(() => undefined)).then(() => (closed = true));
    await new Promise(setImmediate);
    expect(closed).toBe(false);
    over.resolve(undefined);
    await closing;
    expect(served[0]?.destroyed).toBe(true);
  });

  it('turns away what it does not serve', async () => {
    const { socket } = await listening([]);
    socket.write('GET / HTTP/1.1\r\n\r\n');
    expect(await text(socket).catch(() => '')).toBe('');
  });
});
