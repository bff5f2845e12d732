// Run by vitest with each file of unit tests that share a process: what one forgets to put back ends with it.
import { afterAll, vi } from 'vitest';

afterAll(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});
