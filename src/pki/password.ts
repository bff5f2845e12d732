import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { CodedError, isCoded } from '../base/errors.ts';
import { takingTurns } from './turns.ts';

const argon2OffLoop = promisify(argon2);

interface Cost {
  /** KiB */
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
  /** Bytes. */
  readonly tagLength: number;
}
/** Source: OWASP Password Storage Cheat Sheet, argon2id with 19 MiB. */
const current: Cost = { memory: 19_456, passes: 2, parallelism: 1, tagLength: 32 };
/** No stored text can make us spend more than this on one password. */
const most: Cost = { memory: 1_048_576, passes: 16, parallelism: 16, tagLength: 64 };
const saltBytes = 16;

/**
 * Each takes its memory, and more than the cores would not be faster; half of the thread pool stays free for
 * others.
 */
const inTurn = takingTurns({ concurrent: 2, waiting: 500, what: 'passwords to check' });

/**
 * Composed, so that two keyboards that write an accent differently produce the same password.
 * Source: RFC 8265, section 4.2.
 */
const bytesOf = (password: string): Buffer => Buffer.from(password.normalize('NFC'), 'utf8');

const digestOf = (password: string, salt: Uint8Array, cost: Cost): Promise<Buffer> =>
  inTurn(() => argon2OffLoop('argon2id', { message: bytesOf(password), nonce: salt, ...cost }));

const bare = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64').replace(/=+$/, '');

interface Stored {
  readonly cost: Cost;
  readonly salt: Buffer;
  readonly digest: Buffer;
}

/** An unknown user is compared with this: a password matches it only with a chance of one in 2^256. */
const fake: Stored = { cost: current, salt: randomBytes(saltBytes), digest: randomBytes(current.tagLength) };

/**
 * PHC text: `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`. The whole password counts, however long it is.
 * Runs on the thread pool, off the event loop, few at a time.
 * @throws CodedError `unavailable` when too many wait.
 */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(saltBytes);
  const digest = await digestOf(password, salt, current);
  const { memory, passes, parallelism } = current;
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${bare(salt)}$${bare(digest)}`;
}

/**
 * True when the password is the one that was hashed. Without a hash (an unknown user) the same work is done
 * against a fake one, and the result is false.
 * @throws CodedError `damaged` when the stored text is not such a hash; `unavailable` when too many wait.
 */
export async function verifyPassword(stored: string | undefined, password: string): Promise<boolean> {
  const { cost, salt, digest } = stored === undefined ? fake : parseStored(stored);
  const same = timingSafeEqual(await digestOf(password, salt, cost), digest);
  return same && stored !== undefined;
}

/** Whether `verifyPassword` would read it. */
export function isPasswordHash(stored: string): boolean {
  try {
    parseStored(stored);
    return true;
  } catch (e) {
    if (isCoded(e, 'damaged')) return false;
    throw e;
  }
}

const phc = /^\$argon2id\$v=19\$m=(\d{1,9}),t=(\d{1,9}),p=(\d{1,9})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

function parseStored(stored: string): Stored {
  const [, memory, passes, parallelism, saltText = '', digestText = ''] = phc.exec(stored) ?? [];
  const salt = Buffer.from(saltText, 'base64');
  const digest = Buffer.from(digestText, 'base64');
  const cost = {
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    tagLength: digest.length,
  };
  if (!isBearable(cost) || salt.length < 8)
    throw new CodedError('damaged', 'the stored password hash is not one of argon2id');
  return { cost, salt, digest };
}

/**
 * The lower limits are those of RFC 9106, section 3.1, except for the tag, where 4 bytes could be guessed.
 */
const isBearable = ({ memory, passes, parallelism, tagLength }: Cost): boolean =>
  within(parallelism, 1, most.parallelism) &&
  within(memory, 8 * parallelism, most.memory) &&
  within(passes, 1, most.passes) &&
  within(tagLength, 16, most.tagLength);

const within = (n: number, least: number, largest: number): boolean => n >= least && n <= largest;
