import type { Partition, StreamName } from './event.ts';

/** Its facts record how a log was recovered whose store had gone back. */
export const recoveryStream = (partition: Partition): StreamName => `recovery-${partition}`;
