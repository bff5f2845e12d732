import { isCoded } from '../base/errors.ts';
import type { Instant } from '../base/time.ts';
import type { ClusterLog, EventLog } from './event-log.ts';
import type { Cause, Partition, Position, Revision } from './event.ts';
import type { HeadSigner } from './log-key.ts';
import { headOf, headSigned, headsStream, type SignedHead, signHead } from './signed-head.ts';

/** The newest signed head of a partition that the log still holds. */
export interface NewestHead {
  /** Of the stream of signed heads: the next one is appended after it. */
  readonly revision: Revision;
  readonly head: SignedHead | undefined;
  /** Of the fact that contains it, and when it was appended by the log's own clock. */
  readonly factPosition: Position;
  readonly factAt: Instant | undefined;
}

/**
 * As of the newest commit.
 * @throws CodedError `damaged` when the newest is in a form that this version does not know.
 */
export async function newestHead(
  log: Pick<EventLog, 'read' | 'revision'>,
  partition: Partition,
): Promise<NewestHead> {
  const stream = headsStream(partition);
  const revision = await log.revision(stream);
  const none = { revision, head: undefined, factPosition: 0, factAt: undefined };
  if (revision === 0) return none;
  try {
    for await (const event of log.read(stream, revision - 1))
      return {
        revision: event.revision,
        head: headOf(event),
        factPosition: event.position,
        factAt: event.cause.at,
      };
    return none;
  } catch (e) {
    if (isCoded(e, 'cursor_too_old')) return none;
    throw e;
  }
}

/**
 * How many events the newest signed head does not cover. The fact that contains it does not count: signing is
 * no reason to sign.
 */
export function unsignedEvents({ head, factPosition }: NewestHead, position: Position): number {
  if (head === undefined) return position;
  return position - head.position - (position >= factPosition ? 1 : 0);
}

/**
 * Signs the head of the partition as this process knows it, after `newest`. Returns undefined when another
 * process has signed meanwhile: of several that try at once one appends.
 * @throws CodedError what `append` throws, but for `conflict`.
 */
export async function appendSignedHead(
  log: ClusterLog,
  partition: Partition,
  newest: NewestHead,
  { key, privateKey }: HeadSigner,
  cause: Cause,
): Promise<NewestHead | undefined> {
  const { slot, position, hash } = log.stats()[partition];
  const head = signHead({ partition, slot, position, hash, at: cause.at }, key, privateKey);
  const write = { stream: headsStream(partition), expected: newest.revision, facts: [headSigned(head)] };
  try {
    const factPosition = await log[partition].append([write], cause);
    return { revision: newest.revision + 1, head, factPosition, factAt: cause.at };
  } catch (e) {
    if (isCoded(e, 'conflict')) return undefined;
    throw e;
  }
}
