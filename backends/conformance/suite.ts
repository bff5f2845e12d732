import { afterEach, beforeEach, describe } from 'vitest';
import { describeAppending } from './appending.ts';
import { describeDriver } from './driver.ts';
import { describeEvidence } from './evidence.ts';
import { describeFollowing } from './following.ts';
import { describeGuarding } from './guarding.ts';
import { describeModel } from './model-drivers.ts';
import { describeRecovering } from './recovering.ts';
import { describeRestored } from './restored.ts';
import { describeSecrets } from './secrets.ts';
import { describeSnapshots } from './compaction.ts';
import { times, Trial, type TrialStore } from './trial.ts';

type Part = (current: () => Trial) => void;

/**
 * The promises of the driver, and the parts of the log's behaviour that differ in time and order between
 * engines.
 */
const ofTheEngine: readonly Part[] = [
  describeDriver,
  describeModel,
  describeAppending,
  describeGuarding,
  describeFollowing,
];
/** The log's behaviour on top of those promises: the same on every engine that keeps them. */
const ofTheLog: readonly Part[] = [
  describeSecrets,
  describeSnapshots,
  describeEvidence,
  describeRestored,
  describeRecovering,
];

/** The requirements of every store, always with two handles on it. Call it once per back end. */
export function describeStore(name: string, create: () => Promise<TrialStore>): void {
  describeParts(name, create, [...ofTheEngine, ...ofTheLog]);
}

/**
 * For another engine, or another version of it, under a back end whose first one runs the whole suite: the
 * parts that depend on the engine. In a long run (`LOG_TRIAL_FACTOR`) the whole suite.
 */
export function describeOtherEngine(name: string, create: () => Promise<TrialStore>): void {
  describeParts(name, create, times(1) > 1 ? [...ofTheEngine, ...ofTheLog] : ofTheEngine);
}

function describeParts(name: string, create: () => Promise<TrialStore>, parts: readonly Part[]): void {
  describe(`the log on ${name}`, () => {
    let trial: Trial | undefined;
    beforeEach(async () => {
      trial = new Trial(await create());
    });
    afterEach(async () => {
      await trial?.end();
    });
    const current = (): Trial => {
      if (trial === undefined) throw new Error('the trial has not begun');
      return trial;
    };
    for (const part of parts) part(current);
  });
}
