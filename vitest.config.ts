import { defineConfig } from 'vitest/config';

const common = { testTimeout: 60_000, hookTimeout: 60_000 };

export default defineConfig({
  test: {
    projects: [
      { test: { ...common, name: 'unit', include: ['src/**/*.test.ts', 'backends/**/*.test.ts'] } },
      {
        test: {
          ...common,
          name: 'integration',
          include: ['integration/**/*.test.ts'],
          // Real processes on few cores: one file at a time keeps their time limits honest.
          fileParallelism: false,
        },
      },
    ],
  },
});
