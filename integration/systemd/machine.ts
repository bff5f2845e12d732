import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Ran, run, type RunOptions, until } from '../harness/run-program.ts';

const project = resolve('.');

/**
 * A machine of its own, as far as systemd can tell: processes, files, network and control groups are its own.
 */
export interface Machine {
  /** Seen inside and outside, at the same path. */
  readonly share: string;
  /** Of its process 1, as seen from outside. */
  readonly pid: string;
  /** Runs a shell line inside, as root. */
  sh(line: string, options?: RunOptions): Promise<Ran>;
  /** The same; fails when it does not exit 0. Answers standard output, without the last line end. */
  must(line: string, options?: RunOptions): Promise<string>;
  /** Starts a shell line inside. */
  start(line: string): ChildProcess;
  /** One property of a unit. */
  show(unit: string, property: string): Promise<string>;
  close(): Promise<void>;
}

/**
 * Boots a real systemd. Takes a second or two; needs root.
 * @param root files that it sees: this machine's own, or the packages of another release.
 * @throws Error with what the console said.
 */
export async function bootMachine(root = '/'): Promise<Machine> {
  const directory = mkdtempSync('/tmp/systemd-test-');
  const booted = spawn('bash', [resolve('integration/systemd/boot.sh'), directory, project, root], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] },
  });
  let said = '';
  let trouble = '';
  booted.stdout.on('data', (data: Buffer) => (said += data.toString()));
  booted.stderr.on('data', (data: Buffer) => (trouble += data.toString()));
  const consoleText = (): string => {
    try {
      return readFileSync(join(directory, 'console'), 'utf8');
    } catch {
      return '';
    }
  };
  const pid = await until('systemd to be started', () => {
    if (booted.exitCode !== null)
      throw new Error(`this machine cannot boot a systemd: ${trouble}${consoleText()}`);
    return /^\d+\n/.exec(said)?.[0].trim();
  });
  const inside = (line: string): string[] => [
    '-t',
    pid,
    '-a',
    '--wdns=/',
    '/usr/bin/env',
    '-i',
    `PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    'HOME=/root',
    // The files of this machine shine through: nobody's login is in there.
    'TSH_HOME=/run/tsh',
    'LANG=C.UTF-8',
    '/bin/bash',
    // Started on sockets it would take itself for a remote shell and read ~/.bashrc.
    '--norc',
    '-c',
    line,
  ];
  const machine: Machine = {
    share: join(directory, 'share'),
    pid,
    sh: (line, options) => run('nsenter', inside(line), options),
    must: async (line, options) => {
      const ran = await machine.sh(line, options);
      if (ran.code !== 0) throw new Error(`${line}: exit ${String(ran.code)}\n${ran.stdout}${ran.stderr}`);
      return ran.stdout.trimEnd();
    },
    start: (line) => spawn('nsenter', inside(line)),
    show: (unit, property) => machine.must(`systemctl show -P ${property} ${unit}`),
    close: async () => {
      const ended = new Promise((done) => booted.once('close', done));
      booted.kill('SIGTERM');
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
  mkdirSync(machine.share, { recursive: true });
  writeFileSync(join(machine.share, '.here'), '');
  await until(
    'systemd to have booted',
    async () => {
      if (booted.exitCode !== null)
        throw new Error(`systemd ended while it booted: ${trouble}${consoleText()}`);
      const { stdout } = await machine.sh('systemctl is-system-running');
      return ['running', 'degraded'].includes(stdout.trim()) ? true : undefined;
    },
    60_000,
  ).catch(async (e: unknown) => {
    await machine.close();
    throw e;
  });
  return machine;
}
