import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { afterEach, expect, it } from 'vitest';
import { parseConnectionMessage } from './connection-messages.ts';
import { sendSideBySide } from './data-packets.ts';
import { nodePrimitives } from './node-primitives.ts';
import { servedCiphers } from './packet-algorithms.ts';
import { ssh2Crypto, type PacketReceiver, type PacketSender } from './packet-layer.ts';

const kib = 1024;
const crypto = ssh2Crypto(() => nodePrimitives) as {
  createCipher(config: object): PacketSender;
  createDecipher(config: object): PacketReceiver;
};
const cipher = servedCiphers['aes128-gcm@openssh.com'];
if (cipher === undefined) throw new Error('aes128-gcm is not served');
const key = randomBytes(cipher.keyLen);
const iv = randomBytes(cipher.ivLen);
const sender = (): PacketSender =>
  crypto.createCipher({
    outbound: {
      onWrite: () => undefined,
      seqno: 0,
      cipherInfo: cipher,
      cipherKey: key,
      cipherIV: Buffer.from(iv),
    },
  });

/** The lengths of the pieces in `wire`, each of which must be for channel 7, and what they hold. */
function pieces(wire: Buffer): { lengths: number[]; data: Buffer } {
  const found: Buffer[] = [];
  const receiver = crypto.createDecipher({
    inbound: {
      ...{ seqno: 0, decipherInfo: cipher, decipherKey: key, decipherIV: Buffer.from(iv) },
      onPayload: (payload: Buffer) => {
        const message = parseConnectionMessage(payload);
        expect(message).toMatchObject({ type: 'data', recipient: 7 });
        found.push(Buffer.from((message as { data: Buffer }).data));
      },
    },
  });
  receiver.maxBytes = 256 * kib;
  const all = Buffer.from(wire);
  receiver.decrypt(all, 0, all.length);
  return { lengths: found.map((piece) => piece.length), data: Buffer.concat(found) };
}

/** A stream that copies what it is given, and is done with it when `take` says so. */
function copying(take: (done: () => void) => void): { stream: Duplex; writes: Buffer[]; given: Buffer[] } {
  const writes: Buffer[] = [];
  const given: Buffer[] = [];
  const stream = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _, done) => {
      writes.push(Buffer.from(chunk));
      given.push(chunk);
      take(done);
    },
  });
  return { stream: Object.assign(stream, { copiesWhatIsWritten: true }), writes, given };
}
const data = randomBytes(200 * kib);
const send = (out: PacketSender, socket: Duplex, bytes: Buffer, maxPiece = 32 * kib): number =>
  sendSideBySide(out, socket, { recipient: 7, maxPiece, data: bytes });

it('sends as many pieces as memory has room for with one write, in order', () => {
  const { stream, writes } = copying((done) => {
    done();
  });
  const out = sender();
  const first = send(out, stream, data);
  expect(writes).toHaveLength(1);
  expect(first).toBeGreaterThanOrEqual(128 * kib);
  const second = send(out, stream, data.subarray(first));
  expect(first + second).toBe(data.length);
  const got = pieces(Buffer.concat(writes));
  expect(got.data.equals(data)).toBe(true);
  expect(Math.max(...got.lengths)).toBe(32 * kib);
});

it('obeys a peer that takes smaller packets', () => {
  const { stream, writes } = copying((done) => {
    done();
  });
  const sent = send(sender(), stream, data, 1000);
  const got = pieces(Buffer.concat(writes));
  expect(Math.max(...got.lengths)).toBe(1000);
  expect(got.data.equals(data.subarray(0, sent))).toBe(true);
});

it('uses memory again when the stream has taken it, not before', () => {
  const waiting: (() => void)[] = [];
  const { stream, given } = copying((done) => waiting.push(done));
  const out = sender();
  send(out, stream, data.subarray(0, 100 * kib));
  const other = copying((done) => {
    done();
  });
  send(out, other.stream, data.subarray(0, 100 * kib));
  expect(other.given[0]?.buffer).not.toBe(given[0]?.buffer);
  waiting.shift()?.();
  send(out, other.stream, data.subarray(0, 100 * kib));
  send(out, other.stream, data.subarray(0, 100 * kib));
  expect(other.given.slice(1).map((one) => one.buffer)).toContain(given[0]?.buffer);
});

it('leaves little data, streams that keep what they are given, and keys that are spent to single packets', () => {
  const { stream, writes } = copying((done) => {
    done();
  });
  expect(send(sender(), stream, data.subarray(0, 16 * kib - 1))).toBe(0);
  const keeping = new Duplex({
    read: () => undefined,
    write: (_chunk, _encoding, done) => {
      done();
    },
  });
  expect(send(sender(), keeping, data)).toBe(0);
  const freed = sender();
  freed.free();
  expect(send(freed, stream, data)).toBe(0);
  const reset = sender();
  reset.outSeqno = 0;
  expect(send(reset, stream, data)).toBe(0);
  expect(writes).toEqual([]);
});

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

it('does so to a socket, whose peer may be slow', async () => {
  const server = createServer((socket) => sockets.push(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  await once(socket, 'connect');
  const out = sender();
  const large = randomBytes(3 * kib * kib);
  let sent = 0;
  while (sent < large.length) sent += send(out, socket, large.subarray(sent)) || large.length;
  socket.end();
  const got: Buffer[] = [];
  const peer = sockets.find((one) => one !== socket);
  if (peer === undefined) throw new Error('nobody was accepted');
  for await (const chunk of peer) got.push(chunk as Buffer);
  expect(pieces(Buffer.concat(got)).data.equals(large.subarray(0, sent))).toBe(true);
  server.close();
});
