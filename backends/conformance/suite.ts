import { afterEach, beforeEach, describe } from 'vitest';
import { describeAppending } from './appending.ts';
import { describeDriver } from './driver.ts';
import { describeEvidence } from './evidence.ts';
import { describeFollowing } from './following.ts';
import { describeModel } from './model-drivers.ts';
import { describeRecovering } from './recovering.ts';
import { describeRestored } from './restored.ts';
import { describeSecrets } from './secrets.ts';
import { describeSnapshots } from './compaction.ts';
import { Trial, type TrialStore } from './trial.ts';

/** What every store must hold, always with two handles on it. Call it once per back end. */
export function describeStore(name: string, create: () => Promise<TrialStore>): void {
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
    describeDriver(current);
    describeModel(current);
    describeAppending(current);
    describeFollowing(current);
    describeSecrets(current);
    describeSnapshots(current);
    describeEvidence(current);
    describeRestored(current);
    describeRecovering(current);
  });
}
