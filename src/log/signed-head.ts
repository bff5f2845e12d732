import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { z } from 'zod';
import { CodedError } from '../base/errors.ts';
import { instant } from '../base/time.ts';
import { type Fact, type Partition, partitions, type Recorded, type StreamName } from './event.ts';

const natural = z.number().int().positive();

/**
 * What the log was at one moment, signed by the log's own key. A copy kept elsewhere can prove later that the
 * slots up to this one were replaced or cut off, even by somebody who owns the store.
 */
export const signedHead = z.strictObject({
  version: z.literal(1),
  partition: z.enum([...partitions] as [Partition, ...Partition[]]),
  slot: natural,
  /** Of the last event in the slot. */
  position: natural,
  /** Own hash of the batch in the slot: the chain up to there. Hexadecimal. */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  at: instant,
  keyId: z.string().regex(/^[0-9a-f]{16}$/),
  /** Ed25519 over `signedBytes`, base64. */
  signature: z.string().regex(/^[A-Za-z0-9+/]{86}==$/),
});
export type SignedHead = z.infer<typeof signedHead>;
export type LogHead = Omit<SignedHead, 'version' | 'keyId' | 'signature'>;

/** The stream of a partition's signed heads: in the partition itself, so that they are trimmed with it. */
export const headsStream = (partition: Partition): StreamName => `heads-${partition}`;

export const headSigned = (head: SignedHead): Fact => ({ type: 'log.head_signed', data: head });

/** @throws CodedError `damaged` for an event of the stream that is not one, or of a later version. */
export function headOf({ fact, stream, position }: Recorded): SignedHead {
  const parsed = fact.type === 'log.head_signed' ? signedHead.safeParse(fact.data) : undefined;
  if (parsed?.success === true) return parsed.data;
  throw new CodedError(
    'damaged',
    `position ${position} of ${stream} is not a signed head that this version knows`,
  );
}

/** The bytes under the signature: a line that names the form, then one line each. */
const signedBytes = ({ partition, slot, position, hash, at, keyId }: Omit<SignedHead, 'signature'>): Buffer =>
  Buffer.from(`teleport signed log head 1\n${[partition, slot, position, hash, at, keyId].join('\n')}\n`);

export function signHead(head: LogHead, { keyId }: LogKey, privateKey: KeyObject): SignedHead {
  const { partition, slot, position, hash, at } = head;
  const unsigned = { version: 1, partition, slot, position, hash, at, keyId } as const;
  return { ...unsigned, signature: sign(null, signedBytes(unsigned), privateKey).toString('base64') };
}

/** Whether one of these keys signed it. `unknown key` when it names none of them. */
export function checkHead(
  head: SignedHead,
  keys: readonly LogKey[],
): 'good' | 'bad signature' | 'unknown key' {
  const key = keys.find(({ keyId }) => keyId === head.keyId);
  if (key === undefined) return 'unknown key';
  const good = verify(null, signedBytes(head), keyObjectOf(key), Buffer.from(head.signature, 'base64'));
  return good ? 'good' : 'bad signature';
}

/** The public half of a key that signs heads. */
export interface LogKey {
  /** The first 16 hexadecimal digits of the SHA-256 of the 32 bytes of the key. */
  readonly keyId: string;
  /** `ed25519:` and the 32 bytes in base64. */
  readonly publicKey: string;
}

const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');
const rawBytes = 32;

/** @throws CodedError `bad_request` for any other text. */
export function parseLogKey(text: string): LogKey {
  const base64 = /^ed25519:([A-Za-z0-9+/]{43}=)$/.exec(text.trim())?.[1];
  if (base64 === undefined)
    throw new CodedError(
      'bad_request',
      'not a public key of a log: expected ed25519:<44 characters of base64>',
    );
  return logKeyOf(Buffer.from(base64, 'base64'));
}

export const publicHalf = (key: KeyObject): LogKey =>
  logKeyOf(createPublicKey(key).export({ type: 'spki', format: 'der' }).subarray(-rawBytes));

const logKeyOf = (raw: Buffer): LogKey => ({
  keyId: createHash('sha256').update(raw).digest('hex').slice(0, 16),
  publicKey: `ed25519:${raw.toString('base64')}`,
});

const keyObjects = new Map<string, KeyObject>();

function keyObjectOf({ publicKey }: LogKey): KeyObject {
  const known = keyObjects.get(publicKey);
  if (known) return known;
  const raw = Buffer.from(publicKey.slice('ed25519:'.length), 'base64');
  const key = createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: 'der', type: 'spki' });
  keyObjects.set(publicKey, key);
  return key;
}
