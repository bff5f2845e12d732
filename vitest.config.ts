import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { relative } from 'node:path';
import { defineConfig } from 'vitest/config';
import type { TestSequencer, TestSpecification } from 'vitest/node';

const common = { testTimeout: 60_000, hookTimeout: 60_000 };
const cores = availableParallelism();
const durations = JSON.parse(readFileSync('integration/durations.json', 'utf8')) as Record<string, number>;

/** The longest file first, so that none is left over when the others are done; what was never measured counts as long. */
class LongestFirst implements TestSequencer {
  sort(files: TestSpecification[]): TestSpecification[] {
    const secondsOf = ({ moduleId }: TestSpecification): number =>
      durations[relative(import.meta.dirname, moduleId)] ?? Infinity;
    // Two files of infinite length are equal, and their difference is not a number.
    return files.toSorted((a, b) => secondsOf(b) - secondsOf(a) || 0);
  }
  shard(files: TestSpecification[]): TestSpecification[] {
    return files;
  }
}

/** They compare times: without coverage, which slows our code and not that of the runtime. */
const timed = ['src/views/scale.test.ts'];

/**
 * Their files share a process, since to load our modules again for each is more than half of what they cost. A
 * test there puts back what it changes, and replaces no module (`vi.mock`). A room comes here when all of it
 * has passed so; all others have a process for each file.
 */
const shared = ['domain', 'views', 'pki', 'transfer', 'cli', 'base', 'log', 'auth', 'api', 'ssh'].map(
  (room) => `src/${room}/**/*.test.ts`,
);

/** Node itself loads the modules: that costs a quarter less CPU than the test runner's own way. */
const asNode = { viteModuleRunner: false };

/** They run one at a time when all others are done: what they measure, or assert of the whole machine, others would spoil. */
const alone = ['cluster/presence-scale', 'cluster/rotation-scale', 'cluster/failover', 'log/audit-index'].map(
  (name) => `integration/${name}.test.ts`,
);

/**
 * What it measures says something on a machine that does nothing else: by `SWARM_NODES=… make integration`,
 * and in `make bench-presence`.
 */
const onlyMeasured =
  process.env['SWARM_NODES'] === undefined ? ['integration/cluster/rotation-scale.test.ts'] : [];

/** Long, and of parts that other files test apart: with `SOAK` set, as in `make soak`. */
const onlyInSoak =
  process.env['SOAK'] === undefined ? ['integration/tunnel/clients-far-by-peer.test.ts'] : [];

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    // Of the unit tests, by `make coverage`: files that no test loads count, too.
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts', 'backends/**/*.ts'],
      exclude: ['**/*.test.ts', '**/*testing.ts', 'backends/conformance/**', 'backends/*/trial-*.ts'],
      reporter: ['json-summary'],
      reportOnFailure: true,
    },
    projects: [
      {
        test: {
          ...common,
          name: 'unit',
          include: ['src/**/*.test.ts', 'backends/**/*.test.ts'],
          exclude: [...timed, ...shared],
          maxWorkers: cores,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...common,
          name: 'unit-shared',
          include: shared,
          exclude: timed,
          isolate: false,
          setupFiles: ['.ci/after-unit-file.mjs'],
          maxWorkers: cores,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          ...common,
          name: 'unit-timed',
          include: timed,
          fileParallelism: false,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // Real processes, each with ports and folders of its own. They wait more than they compute.
        test: {
          ...common,
          name: 'integration',
          experimental: asNode,
          include: ['integration/**/*.test.ts'],
          exclude: [...alone, ...onlyInSoak],
          maxWorkers: Number(process.env['TEST_WORKERS'] ?? 2 * cores),
          sequence: { groupOrder: 3 },
        },
      },
      {
        test: {
          ...common,
          name: 'integration-alone',
          experimental: asNode,
          include: alone.filter((file) => !onlyMeasured.includes(file)),
          fileParallelism: false,
          sequence: { groupOrder: 4 },
        },
      },
    ],
  },
});
