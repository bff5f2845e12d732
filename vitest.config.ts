import { defineConfig } from 'vitest/config';

const common = { testTimeout: 60_000, hookTimeout: 60_000 };

/** Real processes on few cores: one file at a time keeps their time limits honest. */
const integration = { ...common, fileParallelism: false };
/** Tests that wait for stores more than they compute: `.ci/test.mjs` runs them beside the others. */
const stores = ['store-*', 'stores', 'store-trial/*', 'several-auths', 'log-copy'].map(
  (name) => `integration/${name}.test.ts`,
);

export default defineConfig({
  test: {
    projects: [
      { test: { ...common, name: 'unit', include: ['src/**/*.test.ts', 'backends/**/*.test.ts'] } },
      {
        test: { ...integration, name: 'integration', include: ['integration/**/*.test.ts'], exclude: stores },
      },
      { test: { ...integration, name: 'integration-stores', include: stores } },
    ],
  },
});
