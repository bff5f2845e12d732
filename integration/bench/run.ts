/*
 * Figures of this machine, each beside OpenSSH (or the raw store) from the same run. Ratios count; absolute
 * times are noise.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, userInfo } from 'node:os';
import { join } from 'node:path';
import { startCluster, type Cluster } from '../harness/cluster.ts';
import { until } from '../harness/run-program.ts';
import { createFirstUser, sshConfigFor } from '../harness/people.ts';

import { cpuSeconds, family, inTurn, memoryMiB, rate, row, timed } from './measure.ts';
import { startOpenssh, type OpensshPair } from './openssh.ts';

const user = userInfo().username;
const bulkMiB = Number(process.env['BENCH_MIB'] ?? 1024);
const runs = Number(process.env['BENCH_RUNS'] ?? 5);
const sessions = Number(process.env['BENCH_SESSIONS'] ?? 100);

async function main(): Promise<void> {
  console.log(
    `node ${process.versions.node}, ${cpus().length} cores (${cpus()[0]?.model ?? '?'}); the ratio is to the last column`,
  );
  const from = process.hrtime.bigint();
  const cluster = await startCluster({ secondFactor: 'off' });
  console.log(
    `start to ready ${(Number(process.hrtime.bigint() - from) / 1e9).toFixed(2)} s (first start: makes the authorities)`,
  );
  const openssh = await startOpenssh();
  try {
    await createFirstUser(cluster, user, { logins: [user] });
    await figures(cluster, openssh);
  } finally {
    openssh.close();
    await cluster.close();
  }
  const { printTunnelFigures } = await import('./tunnels.ts');
  await printTunnelFigures(runs, Math.min(bulkMiB, 256));
  const { printRestartFigures } = await import('./restart.ts');
  await printRestartFigures();
  const { directoryStore, dynamodbStore, etcdStore, printStoreFigures } = await import('./stores.ts');
  for (const create of [directoryStore, etcdStore, dynamodbStore]) {
    const store = await create();
    try {
      // dynalite holds its table on its heap, where a million events are too many.
      await printStoreFigures(store, 50_000, create === dynamodbStore ? 100_000 : 1_000_000);
    } finally {
      await store.dispose();
    }
  }
}

async function figures(cluster: Cluster, openssh: OpensshPair): Promise<void> {
  const env = cluster.env(user);
  const config = await sshConfigFor(cluster, user);
  const tsh = `tsh ssh ${user}@node1`;
  const ssh = `ssh -F ${config} -c aes128-gcm@openssh.com ${user}@node1.example`;

  await restartFigure(cluster);
  await startFigures(env);
  const one = await inTurn(
    { tsh: `${tsh} true`, ssh: `${ssh} true`, 'openssh -J': `${openssh.jump} true` },
    runs,
    env,
  );
  row('one command through the proxy', one, 's');

  for (const parallel of [1, 8]) {
    const total = parallel === 1 ? 10 : 32;
    row(
      `sessions/s, ${parallel} at a time`,
      {
        tsh: await rate(`${tsh} true`, total, parallel, env),
        ssh: await rate(`${ssh} true`, total, parallel, env),
        'openssh -J': await rate(`${openssh.jump} true`, total, parallel, env),
      },
      '/s',
    );
  }
  await bulk(env, { tsh, ssh }, { daemon: cluster.pid(), openssh });
  await memory(cluster.pid(), env, ssh, openssh);
}

async function restartFigure(cluster: Cluster): Promise<void> {
  await cluster.stop();
  const from = process.hrtime.bigint();
  await cluster.start();
  console.log(`start to ready ${(Number(process.hrtime.bigint() - from) / 1e9).toFixed(2)} s (second start)`);
}

async function startFigures(env: NodeJS.ProcessEnv): Promise<void> {
  const node = join('.tools', 'node', 'bin', 'node');
  row(
    'client start',
    await inTurn({ 'tsh version': 'tsh version', 'node -v': `${node} -e 0`, 'ssh -V': 'ssh -V' }, runs, env),
    's',
  );
}

/** Both ways, and the daemon's CPU for it. */
async function bulk(
  env: NodeJS.ProcessEnv,
  clients: Record<string, string>,
  daemons: { daemon: number; openssh: OpensshPair },
): Promise<void> {
  const all = { ...clients, 'openssh -J': daemons.openssh.jump };
  const cpuOf = async (name: string): Promise<number> => {
    if (name !== 'openssh -J') return cpuSeconds(daemons.daemon);
    // The time of a session's processes counts when their parent has taken note of their end.
    await until('sshd to be alone', () =>
      daemons.openssh.pids.every((pid) => family(pid).length === 1) ? true : undefined,
    );
    return daemons.openssh.pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  };
  for (const [way, command] of [
    ['download', (c: string) => `${c} head -c ${bulkMiB}M /dev/zero > /dev/null`],
    ['upload', (c: string) => `head -c ${bulkMiB}M /dev/zero | ${c} 'cat > /dev/null'`],
  ] as const) {
    const speeds: Record<string, number> = {};
    const cpu: Record<string, number> = {};
    for (const [name, client] of Object.entries(all)) {
      const before = await cpuOf(name);
      speeds[name] = bulkMiB / (await timed(command(client), env, 600_000));
      cpu[name] = ((await cpuOf(name)) - before) / (bulkMiB / 1024);
    }
    row(`${way} of ${bulkMiB} MiB`, speeds, 'MiB/s');
    row(`  daemon CPU per GiB`, cpu, 's');
  }
}

async function memory(
  daemon: number,
  env: NodeJS.ProcessEnv,
  ssh: string,
  openssh: OpensshPair,
): Promise<void> {
  row('memory idle', { teleport: memoryMiB([daemon]), 'two sshd': memoryMiB(openssh.pids) }, 'MiB');
  const open = async (command: string, pids: readonly number[]): Promise<number> => {
    const clients = Array.from({ length: sessions }, () =>
      spawn('/bin/sh', ['-c', `exec ${command} cat`], { env, stdio: ['pipe', 'pipe', 'ignore'] }),
    );
    await Promise.all(
      clients.map(
        (client) =>
          new Promise<void>((ready, fail) => {
            client.stdout.once('data', () => {
              ready();
            });
            client.once('exit', (code) => {
              fail(new Error(`a session ended early: ${String(code)}`));
            });
            client.stdin.write('x\n');
          }),
      ),
    );
    const programs = new Set(['cat', 'sh', 'bash', 'dash']);
    const own = pids.flatMap(family).filter((pid) => !programs.has(nameOf(pid)));
    const used = memoryMiB([...new Set(own)]);
    for (const client of clients) client.removeAllListeners('exit');
    const ended = clients.map((client) => new Promise((gone) => client.once('exit', gone)));
    for (const client of clients) client.kill();
    await Promise.all(ended);
    return used;
  };
  row(
    `memory with ${sessions} sessions`,
    { teleport: await open(ssh, [daemon]), 'two sshd': await open(openssh.jump, openssh.pids) },
    'MiB',
  );
  await until('sessions to end', () => (family(daemon).length <= 2 ? true : undefined));
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return ''; // the process ended while we looked
  }
}

await main();
