import net, { type Socket } from 'node:net';
import ssh2 from 'ssh2';
import type { Random } from '../../stores/store-trial/random.ts';

const bytes = (random: Random, length: number): Buffer =>
  Buffer.from(Array.from({ length }, () => random.below(256)));
const u32 = (value: number): Buffer => {
  const field = Buffer.alloc(4);
  field.writeUInt32BE(value);
  return field;
};
const list = (text: string): Buffer => Buffer.concat([u32(Buffer.byteLength(text)), Buffer.from(text)]);

/** A packet in the clear, as RFC 4253, 6 has it. */
function packet(payload: Buffer): Buffer {
  const padding = 4 + ((8 - ((5 + payload.length + 4) % 8)) % 8);
  return Buffer.concat([
    u32(1 + payload.length + padding),
    Buffer.of(padding),
    payload,
    Buffer.alloc(padding),
  ]);
}

const keyExchange = (names: readonly string[]): Buffer =>
  packet(Buffer.concat([Buffer.of(20), Buffer.alloc(16), ...names.map(list), Buffer.alloc(5)]));
const sensible = [
  ...['curve25519-sha256', 'ssh-ed25519', 'aes128-ctr', 'aes128-ctr', 'hmac-sha2-256-etm@openssh.com'],
  ...['hmac-sha2-256-etm@openssh.com', 'none', 'none', '', ''],
];

/** Lengths at every edge: nothing, less than a packet, the bound of the RFC, signs, the largest. */
const lengths = [
  0,
  1,
  4,
  5,
  12,
  35_000,
  35_001,
  262_144,
  262_145,
  2 ** 24,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
];

const beforeKeys: Readonly<Record<string, (random: Random) => Buffer>> = {
  noise: (random) => bytes(random, random.between(1, 20_000)),
  'a length': (random) =>
    Buffer.concat([
      Buffer.from('SSH-2.0-x\r\n'),
      u32(random.oneOf(lengths)),
      bytes(random, random.below(8000)),
    ]),
  'no end of the banner': (random) => Buffer.from('x'.repeat(random.between(1, 100_000))),
  'many lines before the banner': () => Buffer.from('hello\r\n'.repeat(5000)),
  'lists of names': (random) =>
    Buffer.concat([
      Buffer.from('SSH-2.0-x\r\n'),
      keyExchange(sensible.map((name) => (random.chance(0.3) ? 'a,'.repeat(random.below(4000)) : name))),
    ]),
  'messages without keys': (random) =>
    Buffer.concat([
      Buffer.from('SSH-2.0-x\r\n'),
      keyExchange(sensible),
      ...Array.from({ length: random.between(1, 20) }, () =>
        packet(Buffer.concat([Buffer.of(random.below(256)), bytes(random, random.below(200))])),
      ),
    ]),
  'another version': () => Buffer.from('SSH-1.5-old\r\n'),
  'a request of the web': () => Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
};

const closedOrAfter = (socket: Socket, ms: number): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(() => socket.destroy(), ms);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });

/** One connection that never comes to a key exchange. */
export async function attackBeforeKeys(random: Random, port: number): Promise<void> {
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => undefined); // `close` follows
  socket.resume();
  const sent = beforeKeys[random.oneOf(Object.keys(beforeKeys))]?.(random) ?? Buffer.alloc(0);
  // In pieces, as a network may cut them.
  const cut = random.below(sent.length + 1);
  socket.write(sent.subarray(0, cut));
  setImmediate(() => socket.write(sent.subarray(cut)));
  await closedOrAfter(socket, random.between(20, 300));
}

/**
 * One connection with a key exchange by `cipher`, then bytes that are not packets, or messages that come too
 * early.
 */
export async function attackAfterKeys(random: Random, port: number, cipher: string): Promise<void> {
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => undefined); // `close` follows
  const client = new ssh2.Client();
  client.on('error', () => undefined); // that is what the attack is about
  client.once('handshake', () => {
    for (let n = random.between(1, 8); n > 0 && socket.writable; n--)
      socket.write(
        random.chance(0.5)
          ? bytes(random, random.between(1, 4000))
          : Buffer.alloc(random.between(1, 70_000), 0xff),
      );
    if (random.chance(0.3)) socket.destroy();
  });
  client.connect({
    sock: socket,
    username: 'root',
    algorithms: { cipher: [cipher as ssh2.CipherAlgorithm] },
    hostVerifier: () => true,
    ...(random.chance(0.5) ? { password: 'guess' } : {}),
    readyTimeout: 2000,
  });
  await closedOrAfter(socket, 1500);
  client.end();
}
