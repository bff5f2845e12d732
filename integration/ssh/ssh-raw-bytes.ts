/** What somebody sends to an SSH port who has no SSH client. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { str, u32 } from '../../src/pki/wire.ts';

/**
 * Sends `first` and then up to `mebibytes` more, until the other side has had enough. Answers how many went.
 */
export async function pour(port: number, first: Buffer, mebibytes: number): Promise<number> {
  // Half open: a server that only says that it has finished still has to stop reading.
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => undefined); // `close` follows
  let isClosed = false as boolean;
  socket.once('close', () => (isClosed = true));
  await once(socket, 'connect');
  await once(socket, 'data'); // its identification
  socket.write(first);
  const more = Buffer.alloc(1 << 20, 'z');
  let sent = 0;
  while (sent < mebibytes && !isClosed) {
    sent += 1;
    if (!socket.write(more))
      await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => undefined);
  }
  socket.destroy();
  return sent;
}

/** An identification, and the first bytes of a packet of that length. */
export const claims = (length: number): Buffer => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(length);
  head[4] = 4;
  return Buffer.concat([Buffer.from('SSH-2.0-x\r\n'), head]);
};

/** KEXINIT of a client that knows these only. */
export function keyExchangeInit(cipher: string, mac: string): Buffer {
  const kex = 'curve25519-sha256';
  const lists = [kex, 'ssh-ed25519', cipher, cipher, mac, mac, 'none', 'none', '', ''];
  const payload = Buffer.concat([
    Buffer.of(20),
    randomBytes(16),
    ...lists.map((list) => str(list)),
    Buffer.alloc(5),
  ]);
  const padding = 16 - ((5 + payload.length) % 8);
  return Buffer.concat([
    u32(1 + payload.length + padding),
    Buffer.of(padding),
    payload,
    randomBytes(padding),
  ]);
}
