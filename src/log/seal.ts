import { CodedError } from '../base/errors.ts';
import type { Authenticity } from './authenticity.ts';
import type { Fact, Partition, StreamName } from './event.ts';
import type { PartitionFold } from './partition-fold.ts';

/**
 * The first batch of a partition that has a MAC. In a new log it is the very first. In a log of an older
 * release it contains the fact below: it vouches for everything before, as it is found then. From there on
 * each batch has a MAC, and older releases, which do not understand it, write nothing more.
 */
export const sealStream = (partition: Partition): StreamName => `sealed-${partition}`;

export const logSealed = (
  { slot, position, hash }: Pick<PartitionFold, 'slot' | 'position' | 'hash'>,
  { keyId }: Authenticity,
): Fact => ({
  type: 'log.sealed',
  data: { slot, position, hash: hash.toString('hex'), keyId: keyId.toString('hex') },
});

/**
 * Makes the MAC of the next batch; undefined while it has none.
 * @param streams that the batch writes to.
 * @throws CodedError `unavailable` when it needs one and the log was opened without the keyring.
 */
export function authenticityFor(
  fold: Pick<PartitionFold, 'authenticFrom' | 'partition' | 'slot'>,
  streams: readonly StreamName[],
  authenticity: Authenticity | undefined,
): Authenticity | undefined {
  if (fold.authenticFrom !== undefined || streams.includes(sealStream(fold.partition))) {
    if (authenticity === undefined)
      throw new CodedError(
        'unavailable',
        'what is appended to this log has a MAC, which takes its keyring: the log was opened without it',
      );
    return authenticity;
  }
  return fold.slot === 0 ? authenticity : undefined;
}
