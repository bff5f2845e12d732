import { CodedError } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { Partition } from './event.ts';

/**
 * Why a reader cannot continue. What it folded before is served; nothing is decided or written. Each look at
 * the store checks again, since the damage may have been in the transfer only, and a store may be repaired in
 * the meantime.
 */
export type Condition =
  /** The first slot that cannot be read. */
  | {
      readonly status: 'damaged';
      readonly partition: Partition;
      readonly slot: number;
      readonly reason: string;
    }
  /** It is intact: a newer version of this program wrote it. */
  | {
      readonly status: 'newer';
      readonly partition: Partition;
      readonly slot: number;
      readonly reason: string;
    }
  /** The store no longer holds `slot` as it was read. `head`: the newest slot that it holds now. */
  | {
      readonly status: 'went back';
      readonly partition: Partition;
      readonly slot: number;
      readonly head: number;
    };

/** A slot, and what is wrong with it. */
export interface BadSlot {
  readonly partition: Partition;
  readonly slot: number;
  readonly reason: string;
}

/** The first slot that cannot be read, with what is wrong. */
export type Damage = Exclude<Condition, { status: 'went back' }>;

export const damaged = (partition: Partition, slot: number, reason: string): Damage => ({
  status: 'damaged',
  partition,
  slot,
  reason,
});

/**
 * The content of the store cannot be used. But the store has replied: waiting for it, or asking another
 * server, does not help.
 */
export class UnusableLog extends CodedError {
  constructor(condition: Condition) {
    super(codes[condition.status], conditionText(condition));
  }
}

export const damageError = (damage: Damage): CodedError => new UnusableLog(damage);

export const conditionError = (condition: Condition): CodedError => new UnusableLog(condition);

const codes = { damaged: 'damaged', newer: 'unavailable', 'went back': 'unavailable' } as const;

export function conditionText(condition: Condition): string {
  const { partition, slot } = condition;
  switch (condition.status) {
    case 'damaged':
      return `the ${partition} log is damaged at slot ${slot}: ${condition.reason}`;
    case 'newer':
      return `slot ${slot} of the ${partition} log cannot be read: ${condition.reason}`;
    case 'went back':
      return (
        `the store went back: ${howFar(condition)}; nothing is decided or written until an operator settles it: ` +
        `tctl log recover`
      );
  }
}

const howFar = ({ partition, slot, head }: Extract<Condition, { status: 'went back' }>): string =>
  head < slot
    ? `its ${partition} log was read up to slot ${slot}, and ends at slot ${head} now`
    : `slot ${slot} of its ${partition} log is not what was read from it before`;

/** Logs a condition when it begins or changes, and when it has ended. */
export function tellCondition(
  sink: LogSink,
  before: Condition | undefined,
  now: Condition | undefined,
): void {
  if (now === undefined) {
    if (before !== undefined)
      sink.info('the log can be read to its end again', { partition: before.partition, slot: before.slot });
    return;
  }
  if (before?.status === now.status && before.slot === now.slot) return;
  const { status, ...fields } = now;
  if (status === 'newer')
    sink.error(
      'the log holds what a newer version wrote: the events before it are served, nothing is written',
      fields,
    );
  else if (status === 'damaged')
    sink.error('the log is damaged: the events before the damage are served, nothing is written', fields);
  else sink.error('the store went back to an earlier state: nothing is decided or written', fields);
}
