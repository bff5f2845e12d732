import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { isAlive, type ProcessRef } from '../../src/base/process-ref.ts';
import { readText } from '../harness/cluster.ts';
import { until } from '../harness/run-program.ts';
import { type Daemon, endDaemons, gone, startDaemon } from '../harness/daemon.ts';
import { childrenOf, descriptorsOf, processesWith } from './left-over.ts';
import { createFirstUser } from '../harness/people.ts';

/* `make soak` asks for 50 sessions and 10 transfers of 1 GiB through 10 reloads. */
const wish = (name: string, usual: number): number => Number(process.env[name] ?? usual);
const sessions = wish('SESSIONS', 10);
const transfers = wish('TRANSFERS', 2);
const megabytes = wish('TRANSFER_MIB', 32);
const reloads = wish('SESSION_RELOADS', 2);
const leaveMs = 2_000;

const user = userInfo().username;
const tsh = resolve('bin/tsh');
const agents: string[] = [];
afterEach(async () => {
  for (const pid of agents.splice(0)) process.kill(Number(pid));
  await endDaemons();
});

/** Somebody at a terminal on the node, whose program answers what is typed. */
interface Interactive {
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;
  readonly text: () => string;
}

function openSession(daemon: Daemon, env: NodeJS.ProcessEnv, ...flags: string[]): Interactive {
  const child = spawn(
    tsh,
    ['ssh', '-t', ...flags, `${user}@node1`, 'echo at $(tty) agent ${SSH_AUTH_SOCK:-none}; exec cat'],
    { env: { ...daemon.cluster.env(user), ...env } },
  );
  let text = '';
  child.stdout.on('data', (data: Buffer) => (text += data.toString()));
  child.stderr.on('data', (data: Buffer) => (text += data.toString()));
  return { child, ended: new Promise((settle) => child.once('close', settle)), text: () => text };
}

/** Twice: once by the terminal, once by the program. */
async function allAnswer(open: readonly Interactive[], line: string): Promise<void> {
  for (const { child } of open) child.stdin?.write(`${line}\n`);
  await until(
    `every session to answer ${line}`,
    () => (open.every(({ text }) => text().split(line).length === 3) ? true : undefined),
    120_000,
  );
}

/** Bytes that look like noise, the same for one seed; the second half comes when the file `gate` is there. */
const noise = (seed: number, gate: string): string =>
  `openssl enc -aes-128-ctr -nosalt -K ${createHash('md5').update(String(seed)).digest('hex')} ` +
  `-iv ${'0'.repeat(32)} -in /dev/zero 2>/dev/null | { dd bs=1M count=${megabytes / 2} iflag=fullblock status=none; ` +
  `until [ -e ${gate} ]; do sleep 0.1; done; dd bs=1M count=${megabytes / 2} iflag=fullblock status=none; }`;

/** Sends noise to the node or from it, and returns the digest of what arrived. */
function transfer(daemon: Daemon, seed: number, gate: string): { done: Promise<string> } {
  const ssh = `${tsh} ssh ${user}@node1`;
  const line =
    seed % 2 === 0
      ? `${ssh} ${quoted(noise(seed, gate))} | sha256sum`
      : `{ ${noise(seed, gate)}; } | ${ssh} sha256sum`;
  const child = spawn('/bin/bash', ['--norc', '-c', line], { env: daemon.cluster.env(user) });
  let said = '';
  child.stdout.on('data', (data: Buffer) => (said += data.toString()));
  child.stderr.on('data', (data: Buffer) => (said += data.toString()));
  return {
    done: new Promise((settle) =>
      child.once('close', () => {
        settle(said.split(' ')[0] ?? '');
      }),
    ),
  };
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

describe('sessions and transfers through reloads', () => {
  it(
    `${sessions} sessions and ${transfers} transfers of ${megabytes} MiB live through ${reloads}, byte for byte, and leave nothing behind`,
    { timeout: 120_000 + 1_000 * (sessions * 4 + reloads * 20) + transfers * megabytes * 150 },
    async () => {
      const daemon = await startDaemon();
      const { cluster } = daemon;
      await createFirstUser(cluster, user, { logins: [user] });
      const [, agent = '', agentPid = ''] =
        /SSH_AUTH_SOCK=([^;]+);[^]*SSH_AGENT_PID=(\d+)/.exec(
          execFileSync('ssh-agent', ['-s'], { encoding: 'utf8' }),
        ) ?? [];
      agents.push(agentPid);
      const lending = (n: number): [NodeJS.ProcessEnv, ...string[]] =>
        n % 5 === 0 ? [{ SSH_AUTH_SOCK: agent }, '-A'] : [{}];
      const marks = [cluster.dir, readText(join(cluster.dataDir, 'host_uuid')).trim()];

      const long = Array.from({ length: sessions }, (_, n) => openSession(daemon, ...lending(n)));
      await allAnswer(long, 'before');
      const gate = join(cluster.dir, 'second-half');
      const began = performance.now();
      const moving = Array.from({ length: transfers }, (_, seed) => transfer(daemon, seed, gate));
      await until('every transfer to have its process on the node', () =>
        [...processesWith(marks).values()].filter((line) => /^(?:\S*sh -c )?(?:openssl|sha256sum)/.test(line))
          .length >= transfers
          ? true
          : undefined,
      );
      const old: ProcessRef[] = [];
      const between: Interactive[] = [];
      let idle: Readonly<Record<string, number>> = {};
      for (let n = 0; n < reloads; n++) {
        const { from } = await daemon.reload();
        old.push(from);
        await allAnswer([...long, ...between], `after-${n}x`);
        idle = descriptorsOf(daemon.main().pid);
        // Somebody for each process, so that each has to wait.
        between.push(openSession(daemon, {}));
        await allAnswer(between.slice(-1), 'new');
      }
      const late = [openSession(daemon, ...lending(0))];
      await allAnswer(late, 'late');
      expect(old.filter(isAlive)).toEqual(old);
      expect(processesWith(marks).size).toBeGreaterThan(2 * sessions);

      writeFileSync(gate, '');
      const digests = await Promise.all(moving.map(({ done }) => done));
      const seconds = (performance.now() - began) / 1000;
      for (const [seed, digest] of digests.entries())
        expect(digest).toBe(
          execFileSync('/bin/bash', ['--norc', '-c', `{ ${noise(seed, gate)}; } | sha256sum`], {
            encoding: 'utf8',
          }).split(' ')[0],
        );

      const open = [...long, ...between, ...late];
      await allAnswer(open, 'at-the-end');
      const places = open.map(({ text }) => /at (\/dev\/pts\/\d+) agent (\S+)/.exec(text()));
      expect(places.filter((one) => one === null)).toEqual([]);
      const agentSockets = places.map((one) => one?.[2] ?? '').filter((path) => path !== 'none');
      expect(agentSockets.length).toBe(Math.ceil(sessions / 5) + 1);
      expect(agentSockets.filter((path) => !existsSync(path))).toEqual([]);
      // Some say goodbye, some vanish.
      for (const [n, { child }] of open.entries())
        if (n % 3 === 0) child.kill('SIGKILL');
        else child.stdin?.write('\x04');
      await Promise.all(open.map(({ ended }) => ended));
      const left = performance.now();
      await Promise.all(old.map((one) => gone(one, leaveMs)));
      console.log(
        `${sessions} sessions and ${transfers} transfers of ${megabytes} MiB through ${reloads} reloads: ` +
          `${Math.round((transfers * megabytes) / seconds)} MiB/s in all, ` +
          `the ${old.length} old processes left ${Math.round(performance.now() - left)} ms after their last client`,
      );

      const main = daemon.main();
      const more = (): [string, number][] =>
        Object.entries(descriptorsOf(main.pid)).filter(([kind, count]) => count > (idle[kind] ?? 0));
      await until('nothing to be open that was not before', () =>
        more().length === 0 ? true : undefined,
      ).catch((e: unknown) => {
        throw new Error(`${String(e)}: ${JSON.stringify(more())}, before: ${JSON.stringify(idle)}`, {
          cause: e,
        });
      });
      expect(Object.keys(idle).filter((kind) => /ptmx|pts/.test(kind))).toEqual([]);
      expect([...processesWith(marks).keys()]).toEqual([main.pid]);
      expect(childrenOf(main.pid)).toEqual([]);
      expect(agentSockets.filter(existsSync)).toEqual([]);
      expect(daemon.generations()).toEqual([main]);
      const ended = await cluster.tctl('events', 'ls', '--type=session.end', '--format=json');
      expect(ended.stdout.trim().split('\n').length).toBeGreaterThanOrEqual(open.length);
    },
  );
});
