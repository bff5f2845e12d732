/*
 * The log under faults: see `store-trial/`. `LOG_TRIAL_SEED` repeats a run: the same faults and operations,
 * though not the same timing. `LOG_TRIAL_FACTOR`: so many runs, each with the next seed. Alone it is one seed
 * that is always the same, so that a change is not stopped by what it did not do; a long run looks for what
 * nobody has seen yet.
 */
import { describe, expect, it } from 'vitest';
import { times } from '../../backends/conformance/trial.ts';
import { runTrial } from './store-trial/trial.ts';

const isLong = times(1) > 1;
const first = Number(process.env['LOG_TRIAL_SEED'] ?? (isLong ? Date.now() % 1_000_000 : 48));
const seeds = Array.from({ length: times(1) }, (_, n) => first + n);

describe('three auth servers on three members of etcd, under faults', () => {
  it.each(seeds)('keep their word: LOG_TRIAL_SEED=%i', { timeout: 300_000 }, async (seed) => {
    console.log(`LOG_TRIAL_SEED=${seed}`);
    const { violations, summary } = await runTrial(seed);
    console.log(`LOG_TRIAL_SEED=${seed}: ${summary}`);
    expect(violations, `with LOG_TRIAL_SEED=${seed}`).toEqual([]);
  });
});
