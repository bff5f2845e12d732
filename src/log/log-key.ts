import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { CodedError, isCoded } from '../base/errors.ts';
import type { EventLog } from './event-log.ts';
import type { Cause, Fact, Recorded, StreamName } from './event.ts';
import { type LogKey, parseLogKey, publicHalf } from './signed-head.ts';

/** Partition `state`. Every key that ever signed heads of this log; the last one signs. */
export const logKeyStream = 'log-key' satisfies StreamName;

const keyCreated = z.object({
  type: z.literal('log.key_created'),
  data: z.object({ keyId: z.string(), publicKey: z.string() }),
});

/** Name of the sealed private key in the fact that brought it: PKCS#8 PEM, UTF-8. */
const secretName = 'private';

/** The key in an event of the key's stream; undefined for another fact, or a key whose id is not its own. */
export function logKeyIn({ fact }: Recorded): LogKey | undefined {
  const parsed = keyCreated.safeParse(fact);
  if (!parsed.success) return undefined;
  const { keyId, publicKey } = parsed.data.data;
  try {
    const key = parseLogKey(publicKey);
    return key.keyId === keyId ? key : undefined;
  } catch (e) {
    if (isCoded(e, 'bad_request')) return undefined;
    throw e;
  }
}

/** The keys on the log, the one that signs last. */
export async function readLogKeys(state: Pick<EventLog, 'read'>): Promise<LogKey[]> {
  const keys: LogKey[] = [];
  for await (const event of state.read(logKeyStream)) {
    const key = logKeyIn(event);
    if (key) keys.push(key);
  }
  return keys;
}

/** Signs heads. */
export interface HeadSigner {
  readonly key: LogKey;
  readonly privateKey: KeyObject;
}

/**
 * The key of the log; made when there is none. Of several processes that start at once one makes it.
 * @throws CodedError `unavailable` when the stream holds a fact this version does not know; what `append`,
 *   `unseal` throw.
 */
export async function openHeadSigner(state: EventLog, cause: Cause): Promise<HeadSigner> {
  const found = await newestKey(state);
  if (found) return unsealed(state, found);
  try {
    await state.append([{ stream: logKeyStream, expected: 0, facts: [newKey()] }], cause);
  } catch (e) {
    if (!isCoded(e, 'conflict')) throw e;
  }
  const made = await newestKey(state);
  if (made === undefined) throw new CodedError('unavailable', 'the key of the log could not be made');
  return unsealed(state, made);
}

function newKey(): Fact {
  const { privateKey } = generateKeyPairSync('ed25519');
  const { keyId, publicKey } = publicHalf(privateKey);
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  return {
    type: 'log.key_created',
    data: { keyId, publicKey },
    secrets: { [secretName]: Buffer.from(pem) },
  };
}

async function newestKey(state: EventLog): Promise<Recorded | undefined> {
  let newest: Recorded | undefined;
  for await (const event of state.read(logKeyStream)) {
    if (logKeyIn(event) === undefined)
      throw new CodedError(
        'unavailable',
        `${logKeyStream} holds a fact this version does not know: ${event.fact.type}`,
      );
    newest = event;
  }
  return newest;
}

async function unsealed(state: EventLog, event: Recorded): Promise<HeadSigner> {
  const privateKey = createPrivateKey(Buffer.from(await state.unseal(event, secretName)));
  const key = publicHalf(privateKey);
  if (key.publicKey !== logKeyIn(event)?.publicKey)
    throw new CodedError('damaged', 'the private key of the log does not belong to its public key');
  return { key, privateKey };
}
