import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const hash = promisify(argon2);

/** OWASP's second choice for argon2id: 19 MiB, two passes, one lane. */
const current = { memory: 19_456, passes: 2, parallelism: 1, tagLength: 32 };
type Cost = typeof current;
const saltBytes = 16;

/** At most so many hashes at once: each takes its memory, and more than the cores gain nothing. */
const concurrent = 2;
let running = 0;
const waiting: (() => void)[] = [];

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= concurrent) await new Promise<void>((go) => waiting.push(go));
  else running++;
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next === undefined) running--;
    else next();
  }
}

const digestOf = (password: string, salt: Uint8Array, cost: Cost): Promise<Buffer> =>
  inTurn(() => hash('argon2id', { message: Buffer.from(password, 'utf8'), nonce: salt, ...cost }));

const bare = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64').replace(/=+$/, '');

/**
 * PHC text: `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`. The whole password counts, however long it is. Runs on the
 * thread pool, off the event loop.
 */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(saltBytes);
  const digest = await digestOf(password, salt, current);
  const { memory, passes, parallelism } = current;
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${bare(salt)}$${bare(digest)}`;
}

/**
 * True when the password is the one that was hashed. Without a hash (an unknown user) the same work is done against a
 * fixed one, and the answer is false.
 * @throws Error when the stored text is not such a hash.
 */
export async function verifyPassword(stored: string | undefined, password: string): Promise<boolean> {
  if (stored === undefined) {
    await digestOf(password, Buffer.alloc(saltBytes), current);
    return false;
  }
  const match = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(
    stored,
  );
  if (match === null) throw new Error('stored password hash is not argon2id');
  const [, memory, passes, parallelism, salt = '', expected = ''] = match;
  const wanted = Buffer.from(expected, 'base64');
  const cost = {
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    tagLength: wanted.length,
  };
  return timingSafeEqual(await digestOf(password, Buffer.from(salt, 'base64'), cost), wanted);
}
