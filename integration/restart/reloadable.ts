import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { processRef, type ProcessRef } from '../../src/base/process-ref.ts';
import { readText } from '../harness/cluster.ts';
import { until } from '../harness/run-program.ts';
import { gone } from '../harness/daemon.ts';
import type { Machine } from '../harness/machines.ts';

/** A machine whose daemon is reloaded: which process is the main one is in its pid file. */
export interface Reloadable {
  readonly machine: Machine;
  /** For `start` and `spawn`. */
  readonly args: readonly string[];
  /** Undefined before one serves. */
  main(): ProcessRef | undefined;
  /** Sends HUP to the main process and waits until another one is. */
  reload(limitMs?: number): Promise<{ readonly from: ProcessRef; readonly to: ProcessRef }>;
  /** How the last reload went, for the one after `before`. */
  failure(before?: string): Promise<{ readonly at: string; readonly reason: string }>;
  /** Ends all its processes. */
  end(): Promise<void>;
}

export function reloadable(machine: Machine): Reloadable {
  const pidFile = `${machine.config}.pid`;
  const main = (): ProcessRef | undefined =>
    existsSync(pidFile) ? processRef(Number(readText(pidFile))) : undefined;
  return {
    machine,
    args: [`--pid-file=${pidFile}`],
    main,
    reload: async (limitMs) => {
      const from = main();
      if (from === undefined) throw new Error(`${machine.name} does not serve: ${machine.output()}`);
      process.kill(from.pid, 'SIGHUP');
      const to = await until(
        `another process of ${machine.name} to be the main one`,
        () => {
          const now = main();
          return now === undefined || now.pid === from.pid ? undefined : now;
        },
        limitMs,
      ).catch((e: unknown) => {
        throw new Error(`${String(e)}\n${machine.output()}`, { cause: e });
      });
      return { from, to };
    },
    failure: (before = '') =>
      until(`a reload of ${machine.name} to fail`, () => {
        const path = join(machine.dataDir, 'proc/restart.json');
        if (!existsSync(path)) return undefined;
        const record = JSON.parse(readText(path)) as { status: string; at: string; reason: string };
        return record.status === 'failed' && record.at !== before ? record : undefined;
      }),
    end: async () => {
      const last = main();
      if (last !== undefined) {
        process.kill(last.pid, 'SIGTERM');
        await gone(last);
      }
      await machine.stop('SIGKILL');
    },
  };
}
