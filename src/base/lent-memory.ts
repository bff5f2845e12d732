import type { Socket, SocketConstructorOpts } from 'node:net';

/** What the runtime reads from a socket at once. */
const READ_BYTES = 64 * 1024;
/** Less is copied into memory of its own size: a reader that is slow would hold 64 KiB for each. */
const LENT_FROM = 16 * 1024;
/** More than this many are given back to the runtime. */
const KEPT = 64;

/** Each read is copied out of it before the next begins. */
const scratch = Buffer.allocUnsafeSlow(READ_BYTES);
const free: Buffer[] = [];
const lent = new WeakMap<Buffer, Buffer>();

/**
 * Makes a socket that reads into memory which is used again. By default each read allocates 64 KiB outside
 * the heap, and a daemon that carries bulk collects garbage most of all because of that. Whoever has copied a
 * chunk that came from it, and knows nobody else who holds it, may pass it to `giveBack`; a chunk that is not
 * given back is ordinary memory.
 */
export function readingLentMemory(
  make: (onread: NonNullable<SocketConstructorOpts['onread']>) => Socket,
): Socket {
  const socket = make({
    buffer: scratch,
    callback: (bytes) => socket.push(copied(scratch.subarray(0, bytes))),
  });
  return socket;
}

function copied(data: Buffer): Buffer {
  if (data.length < LENT_FROM) return Buffer.from(data);
  const memory = free.pop() ?? Buffer.allocUnsafeSlow(READ_BYTES);
  memory.set(data);
  const chunk = memory.subarray(0, data.length);
  lent.set(chunk, memory);
  return chunk;
}

/** Does nothing with other chunks, nor with one that was given back before. */
export function giveBack(chunk: Buffer): void {
  const memory = lent.get(chunk);
  if (memory === undefined) return;
  lent.delete(chunk);
  if (free.length < KEPT) free.push(memory);
}
