import { expect, it } from 'vitest';
import { measureLog } from './bench.ts';

it('measures the log beside the raw store', async () => {
  const figures = await measureLog(600);
  for (const value of Object.values(figures)) expect(value).toBeGreaterThan(0);
  expect(figures.appendsPerBatch).toBeGreaterThan(10);
});
