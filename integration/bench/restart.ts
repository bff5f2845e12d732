/*
 * What a reload costs: from the signal to the new process serving, memory while two serve, the wait of those
 * who are here.
 */
import { spawn } from 'node:child_process';
import { tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { processRef, type ProcessRef } from '../../src/base/process-ref.ts';
import { createCluster, readText, type Cluster } from '../harness/cluster.ts';
import { until } from '../harness/run-program.ts';
import { createFirstUser } from '../harness/people.ts';
import { memoryMiB } from './measure.ts';

const user = userInfo().username;
const percentile = (values: readonly number[], p: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor((values.length * p) / 100))] ??
  Number.NaN;

/** Prints the figures of `reloads` reloads. */
export async function printRestartFigures(reloads = 20): Promise<void> {
  const pidFile = join(tmpdir(), `restart-bench-${process.pid}.pid`);
  const cluster = await createCluster({ args: [`--pid-file=${pidFile}`] });
  try {
    await cluster.start();
    await createFirstUser(cluster, user, { logins: [user] });
    const main = (): ProcessRef => {
      const ref = processRef(Number(readText(pidFile)));
      if (ref === undefined) throw new Error('the daemon has ended');
      return ref;
    };
    await idleFigures(main, reloads);
    await overlapFigures(cluster, main);
    await echoFigures(cluster, main);
    process.kill(main().pid, 'SIGTERM');
  } finally {
    await cluster.close();
  }
}

async function reload(main: () => ProcessRef): Promise<number> {
  const from = main();
  const began = performance.now();
  process.kill(from.pid, 'SIGHUP');
  await until('another process to be the main one', () => (main().pid === from.pid ? undefined : true));
  return performance.now() - began;
}

const left = (ref: ProcessRef): Promise<true> =>
  until('the old process to leave', () =>
    processRef(ref.pid)?.startTime === ref.startTime ? undefined : true,
  );

async function idleFigures(main: () => ProcessRef, reloads: number): Promise<void> {
  const took: number[] = [];
  for (let n = 0; n < reloads; n++) {
    const from = main();
    took.push(await reload(main));
    await left(from);
  }
  console.log(
    `${'HUP to the new process serving'.padEnd(36)} p50 ${(percentile(took, 50) / 1000).toFixed(2)} s  p90 ${(percentile(took, 90) / 1000).toFixed(2)} s  of ${reloads} at idle`,
  );
}

/** A session that stays, so that the old process does. */
function session(cluster: Cluster): { echo(): Promise<number>; end(): Promise<void> } {
  const child = spawn(resolve('bin/tsh'), ['ssh', `${user}@${cluster.nodename}`, 'cat'], {
    env: cluster.env(user),
  });
  let heard: () => void = () => undefined;
  child.stdout.on('data', () => {
    heard();
  });
  const ended = new Promise<void>((done) => {
    child.once('close', () => {
      done();
    });
  });
  return {
    echo: async () => {
      const began = performance.now();
      const answer = new Promise<void>((done) => {
        heard = done;
      });
      child.stdin.write('x');
      await answer;
      return performance.now() - began;
    },
    end: async () => {
      child.stdin.end();
      await ended;
    },
  };
}

async function overlapFigures(cluster: Cluster, main: () => ProcessRef): Promise<void> {
  const stays = session(cluster);
  await stays.echo();
  const old = main();
  const alone = memoryMiB([old.pid]);
  await reload(main);
  const both = memoryMiB([old.pid, main().pid]);
  console.log(
    `${'memory while two serve'.padEnd(36)} one ${alone.toFixed(0)} MiB  both ${both.toFixed(0)} MiB  ratio ${(both / alone).toFixed(2)}`,
  );
  await stays.end();
  await left(old);
}

async function echoFigures(cluster: Cluster, main: () => ProcessRef): Promise<void> {
  const stays = session(cluster);
  await stays.echo();
  const during = async (over: () => boolean): Promise<number[]> => {
    const waits: number[] = [];
    while (!over()) {
      waits.push(await stays.echo());
      await new Promise((next) => setTimeout(next, 5));
    }
    return waits;
  };
  const until_ = performance.now() + 5_000;
  const without = await during(() => performance.now() > until_);
  let reloading = true;
  const reloads = (async () => {
    for (let n = 0; n < 5; n++) await reload(main);
    reloading = false;
  })();
  const within = await during(() => !reloading);
  await reloads;
  await stays.end();
  const [before, after] = [percentile(without, 99), percentile(within, 99)];
  console.log(
    `${'echo of an established session, p99'.padEnd(36)} ${before.toFixed(1)} ms  during reloads ${after.toFixed(1)} ms  ratio ${(after / before).toFixed(2)}`,
  );
}
