import { duplexPair } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dialAnybody } from '../base/dial-tls.ts';
import { readClientHello } from './client-hello.ts';

/** What the runtime's TLS sends first. */
async function helloFor(servername: string, protocols: readonly string[]): Promise<Buffer> {
  const [near, far] = duplexPair();
  const socket = dialAnybody({
    socket: near,
    ...(servername !== '' && { servername }),
    ALPNProtocols: [...protocols],
  });
  socket.on('error', () => undefined);
  const bytes = await new Promise<Buffer>((resolve) => far.once('data', resolve));
  socket.destroy();
  far.destroy();
  return bytes;
}
/** The same message in records of these sizes; what is left is in one more. */
function inRecords(hello: Buffer, sizes: readonly number[]): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length;) {
    const part = message.subarray(at, at + (sizes[records.length] ?? message.length));
    at += part.length;
    records.push(Buffer.from([0x16, 3, 1, part.length >> 8, part.length & 0xff]), part);
    if (records.length > 2 * sizes.length + 2) break;
  }
  return Buffer.concat(records);
}
const hello = await helloFor('Teleport.Cluster.Local', ['teleport-link/1', 'h2']);
const read = { serverName: 'teleport.cluster.local', protocols: ['teleport-link/1', 'h2'] };

describe('the first message of TLS', () => {
  it('says for which server it is, and what may be spoken', async () => {
    expect(readClientHello(hello)).toEqual({ status: 'whole', hello: read });
    expect(readClientHello(Buffer.concat([hello, Buffer.from('more')]))).toMatchObject({ status: 'whole' });
    expect(readClientHello(await helloFor('', ['x']))).toEqual({
      status: 'whole',
      hello: { serverName: undefined, protocols: ['x'] },
    });
  });
  it('is incomplete, and nothing else, until its last byte is there', () => {
    for (let length = 0; length < hello.length; length++)
      expect(readClientHello(hello.subarray(0, length))).toEqual({ status: 'incomplete' });
  });
  it('may be spread over a few records', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 90 }), { maxLength: 14 }), (sizes) => {
        const spread = inRecords(hello, sizes);
        expect(readClientHello(spread)).toEqual({ status: 'whole', hello: read });
        for (const cut of [1, 4, 6, 9, spread.length - 1])
          expect(readClientHello(spread.subarray(0, cut))).toEqual({ status: 'incomplete' });
      }),
    );
  });
  it('is not waited for when it comes in very many records: each segment would be work for nothing', () => {
    const tiny = Buffer.concat(
      [...hello.subarray(5, 100)].map((byte) => Buffer.from([0x16, 3, 1, 0, 1, byte])),
    );
    expect(readClientHello(tiny.subarray(0, 6 * 15))).toEqual({ status: 'incomplete' });
    expect(readClientHello(tiny)).toEqual({ status: 'other' });
  });
  it.each([
    ['another record', Buffer.from([0x15, 3, 1, 0, 2, 1, 0])],
    ['another version', Buffer.from([0x16, 2, 1, 0, 2, 1, 0])],
    ['an empty record', Buffer.from([0x16, 3, 1, 0, 0])],
    ['a record that is too long', Buffer.from([0x16, 3, 1, 0x40, 1])],
    ['another message', Buffer.from([0x16, 3, 1, 0, 4, 2, 0, 0, 9])],
    ['a message that is too long', Buffer.from([0x16, 3, 1, 0, 4, 1, 0, 0x40, 1])],
    ['an empty message', Buffer.from([0x16, 3, 1, 0, 4, 1, 0, 0, 0])],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ])('is not %s', (_what, bytes) => {
    expect(readClientHello(bytes)).toEqual({ status: 'other' });
  });
  it('never throws, whatever was changed in it, and reads nothing from behind it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(hello.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 }),
        fc.nat(hello.length),
        (changes, cut) => {
          const changed = Buffer.from(hello);
          for (const [at, byte] of changes) changed[at] = byte;
          const reading = readClientHello(changed);
          expect(['whole', 'incomplete', 'other']).toContain(reading.status);
          // What has been decided stays so, with whatever comes after it.
          if (reading.status !== 'incomplete')
            expect(readClientHello(Buffer.concat([changed, Buffer.alloc(9, 0xff)]))).toEqual(reading);
          readClientHello(changed.subarray(0, cut));
        },
      ),
      { numRuns: 500 },
    );
  });
});
