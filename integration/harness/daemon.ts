import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAlive, processRef, type ProcessRef } from '../../src/base/process-ref.ts';
import { createCluster, readText, type Cluster, type ClusterOptions } from './cluster.ts';
import { until } from './run-program.ts';

/** All generations of one daemon. */
export interface Daemon {
  readonly cluster: Cluster;
  readonly pidFile: string;
  /** The process that the pid file names. */
  main(): ProcessRef;
  /** Sends HUP and waits until another process is the main one. */
  reload(): Promise<{ readonly from: ProcessRef; readonly to: ProcessRef }>;
  /** All generations that are alive. */
  generations(): ProcessRef[];
}

const opened: Daemon[] = [];

/** Ends every daemon that `startDaemon` started, all generations of it. */
export async function endDaemons(): Promise<void> {
  for (const daemon of opened.splice(0)) {
    const { cluster } = daemon;
    for (const { pid } of daemon.generations()) process.kill(pid, 'SIGKILL');
    await cluster.close();
  }
}

/** A daemon that can be reloaded: its pid file tells which process is the main one. */
export async function startDaemon(options: ClusterOptions = {}): Promise<Daemon> {
  const folder = mkdtempSync(join(tmpdir(), 'restart-test-'));
  const pidFile = join(folder, 'teleport.pid');
  const cluster = await createCluster({
    ...options,
    args: [`--pid-file=${pidFile}`, ...(options.args ?? [])],
  });
  const main = (): ProcessRef => {
    const ref = processRef(Number(readText(pidFile)));
    if (ref === undefined) throw new Error(`no process ${readText(pidFile)}:\n${cluster.output()}`);
    return ref;
  };
  const daemon: Daemon = {
    cluster,
    pidFile,
    main,
    reload: async () => {
      const from = main();
      process.kill(from.pid, 'SIGHUP');
      const to = await until('another process to be the main one', () => {
        const now = processRef(Number(readText(pidFile)));
        return now !== undefined && now.pid !== from.pid ? now : undefined;
      }).catch((e: unknown) => {
        throw new Error(`${String(e)}\n${cluster.output()}`, { cause: e });
      });
      return { from, to };
    },
    generations: () =>
      (existsSync(join(cluster.dataDir, 'proc/generations'))
        ? readdirSync(join(cluster.dataDir, 'proc/generations'))
        : []
      )
        .map((name) => processRef(Number(name.split('-')[0])))
        .filter((ref) => ref !== undefined),
  };
  opened.push(daemon);
  await cluster.start();
  await until('the pid file', () => (existsSync(pidFile) ? true : undefined));
  return daemon;
}

export const gone = (ref: ProcessRef, limitMs = 30_000): Promise<true> =>
  until(`process ${ref.pid} to be gone`, () => (isAlive(ref) ? undefined : true), limitMs);
