/*
 * The log under faults: see `store-trial/`. `LOG_TRIAL_SEED` repeats a run: the same faults and operations, though not the
 * same timing. `LOG_TRIAL_FACTOR`: so many runs, each with the next seed.
 */
import { describe, expect, it } from 'vitest';
import { times } from '../backends/conformance/trial.ts';
import { runTrial } from './store-trial/trial.ts';

const first = Number(process.env['LOG_TRIAL_SEED'] ?? Date.now() % 1_000_000);
const seeds = Array.from({ length: times(1) }, (_, n) => first + n);

describe('three auth servers on three members of etcd, under faults', () => {
  it.each(seeds)('keep their word: LOG_TRIAL_SEED=%i', { timeout: 300_000 }, async (seed) => {
    console.log(`LOG_TRIAL_SEED=${seed}`);
    const { violations, summary } = await runTrial(seed);
    console.log(`LOG_TRIAL_SEED=${seed}: ${summary}`);
    expect(violations, `with LOG_TRIAL_SEED=${seed}`).toEqual([]);
  });
});
