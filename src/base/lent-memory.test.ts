import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { giveBack, readingLentMemory } from './lent-memory.ts';

const server = createServer((socket) => {
  socket.on('error', () => undefined);
  open.push(socket);
});
const open: Socket[] = [];
beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => {
  server.close();
});

/** What was read of `sent`, and whether each chunk was given back before the next was read. */
async function read(sent: Buffer, use: (chunk: Buffer) => void): Promise<Buffer> {
  const { port } = server.address() as AddressInfo;
  const socket = readingLentMemory((onread) => connect({ port, host: '127.0.0.1', onread }));
  await once(socket, 'connect');
  open.pop()?.end(sent);
  const copies: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => {
    copies.push(Buffer.from(chunk));
    use(chunk);
  });
  await once(socket, 'close');
  return Buffer.concat(copies);
}
const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, n) => (n * 7) % 251));

describe('a socket that reads lent memory', () => {
  it.each([1, 100, 16 * 1024, 300_000])('reads what was sent, %i bytes', async (length) => {
    const sent = bytes(length);
    expect((await read(sent, giveBack)).equals(sent)).toBe(true);
  });
  it('uses again only what was given back', async () => {
    const kept: Buffer[] = [];
    const all = await read(bytes(1_000_000), (chunk) => kept.push(chunk));
    expect(Buffer.concat(kept).equals(all)).toBe(true);
    const large = kept.filter((chunk) => chunk.length >= 16 * 1024);
    expect(new Set(large.map((chunk) => chunk.buffer)).size).toBe(large.length);
    for (const chunk of kept) giveBack(chunk);
    const later: Buffer[] = [];
    await read(bytes(300_000), (chunk) => later.push(chunk));
    const again = later.filter((chunk) => large.some((one) => one.buffer === chunk.buffer));
    expect(again.length).toBe(later.filter((chunk) => chunk.length >= 16 * 1024).length);
    for (const chunk of later) giveBack(chunk);
  });
  it('lends memory to one at a time, though it is given back twice, or by a part of it', async () => {
    const held: Buffer[] = [];
    await read(bytes(300_000), (chunk) => {
      giveBack(chunk);
      giveBack(chunk);
      held.push(chunk);
    });
    const two: Buffer[] = [];
    await read(bytes(300_000), (chunk) => two.push(chunk));
    for (const chunk of held) giveBack(chunk); // by whoever had it before
    for (const chunk of two) giveBack(chunk.subarray(1));
    const three: Buffer[] = [];
    await read(bytes(300_000), (chunk) => three.push(chunk));
    const used = new Set(two.filter((chunk) => chunk.length >= 16 * 1024).map((chunk) => chunk.buffer));
    expect(three.filter((chunk) => used.has(chunk.buffer))).toEqual([]);
  });
});
