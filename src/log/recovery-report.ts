import type { Partition, Position, StreamName } from './event.ts';

/** An event that this process knows and the store does not hold. */
export interface MissingEvent {
  readonly position: Position;
  readonly stream: StreamName;
  readonly type: string;
  readonly at: string;
}

export interface RecoveryReport {
  readonly partition: Partition;
  readonly status: 'whole' | 'went back';
  /** The newest slot that this process has seen. */
  readonly known: number;
  /** The newest slot that the store holds. */
  readonly head: number;
  /** The newest slot for which both have the same batch; undefined when that is before what is held here. */
  readonly common: number | undefined;
  /** What can be written back. */
  readonly held: readonly MissingEvent[];
  /** Slots that the store has lost and that are not held here either. */
  readonly forgotten: number;
  /**
   * The log had MACs, and the store's content now ends without any: anybody with write access to the store
   * may have written it.
   */
  readonly withoutMacs?: true;
}

export type RecoveryStep = 'give back' | 'go on';

export interface Recovered {
  readonly partition: Partition;
  readonly status: 'was whole' | 'given back' | 'went on';
  /** What was written back to the store. */
  readonly givenBack: readonly MissingEvent[];
  /** What is known and was not written back: its stream has changed since, or its batch was left out. */
  readonly lost: readonly MissingEvent[];
  readonly forgotten: number;
}
