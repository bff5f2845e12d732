import type { Partition, StreamName } from './event.ts';

/** Its facts say what became of a log whose store had gone back. */
export const recoveryStream = (partition: Partition): StreamName => `recovery-${partition}`;
