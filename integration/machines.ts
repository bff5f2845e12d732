import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freePorts, run, type RunOptions, until } from './cluster.ts';
import type { PeopleCluster } from './people.ts';

const bin = resolve('bin');

export interface MachineOptions {
  /** Host part of its diagnostics address. */
  readonly diagHost?: string;
  /** argv before the daemon's: `ip netns exec …`, `faketime …`. */
  readonly within?: readonly string[];
  readonly args?: readonly string[];
}

/** One process of a cluster, with a directory and a configuration of its own. */
export interface Machine {
  readonly name: string;
  readonly dataDir: string;
  readonly config: string;
  configure(yaml: string): void;
  /** Starts it without waiting. What it wrote before is forgotten. */
  spawn(options?: MachineOptions): ChildProcess;
  /** Starts it; resolves when /readyz answers 200. */
  start(options?: MachineOptions): Promise<void>;
  readyz(): Promise<{ code: number; body: string } | undefined>;
  /** Of the process that was started last. */
  pid(): number;
  /** `host:port` of /readyz and /metrics, as it was started last. */
  diagAddress(): string;
  /** Waits until its output has the text, and answers the line. */
  says(text: string | RegExp, limitMs?: number): Promise<string>;
  /** What it wrote since it was started. */
  output(): string;
  /** What it wrote to standard error since it was started. */
  errors(): string;
  stop(signal?: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null; ms: number }>;
}

export function createMachine(dir: string, name: string, diagPort: number): Machine {
  const config = join(dir, `${name}.yaml`);
  const dataDir = join(dir, `${name}-data`);
  let daemon: ChildProcess | undefined;
  let diag = `127.0.0.1:${diagPort}`;
  let within: readonly string[] = [];
  let output = '';
  let errors = '';
  const exited = (): boolean =>
    (daemon?.exitCode ?? daemon?.signalCode ?? (daemon === undefined ? 0 : null)) !== null;

  const machine: Machine = {
    name,
    dataDir,
    config,
    configure: (yaml) => {
      writeFileSync(config, yaml, { mode: 0o600 }); // it may hold a token
    },
    spawn: (options = {}) => {
      diag = `${options.diagHost ?? '127.0.0.1'}:${diagPort}`;
      within = options.within ?? [];
      output = '';
      errors = '';
      const argv = [
        ...within,
        join(bin, 'teleport'),
        'start',
        `--config=${config}`,
        `--diag-addr=${diag}`,
        ...(options.args ?? []),
      ];
      const child = spawn(argv[0] ?? '', argv.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
      child.stdout.on('data', (d: Buffer) => (output += d.toString()));
      child.stderr.on('data', (d: Buffer) => {
        output += d.toString();
        errors += d.toString();
      });
      daemon = child;
      return child;
    },
    start: async (options) => {
      machine.spawn(options);
      await until(`${name} to be ready`, async () => {
        if (exited()) throw new Error(`${name} exited:\n${output}`);
        return (await machine.readyz())?.code === 200 ? true : undefined;
      }).catch((e: unknown) => {
        throw new Error(`${String(e)}\n${output}`);
      });
    },
    readyz: async () => {
      const inside = within[0] === 'ip' ? within : [];
      const argv = [...inside, 'curl', '-sS', '-m', '2', '-w', '\n%{http_code}', `http://${diag}/readyz`];
      const ran = await run(argv[0] ?? '', argv.slice(1));
      const [body = '', code = ''] = ran.stdout.split('\n');
      return ran.code === 0 ? { code: Number(code), body } : undefined;
    },
    pid: () => daemon?.pid ?? 0,
    diagAddress: () => diag,
    says: (text, limitMs) =>
      until(
        `${name} to say ${String(text)}`,
        () => {
          const line = output
            .split('\n')
            .find((one) => (typeof text === 'string' ? one.includes(text) : text.test(one)));
          if (line === undefined && exited()) throw new Error(`${name} exited:\n${output}`);
          return line;
        },
        limitMs,
      ).catch((e: unknown) => {
        throw new Error(`${String(e)}\n${output}`);
      }),
    output: () => output,
    errors: () => errors,
    stop: (signal = 'SIGTERM') =>
      new Promise((settle) => {
        const began = performance.now();
        const child = daemon;
        if (child === undefined || exited()) {
          settle({ code: child?.exitCode ?? null, signal: child?.signalCode ?? null, ms: 0 });
          return;
        }
        child.once('exit', (code, by) => {
          settle({ code, signal: by, ms: performance.now() - began });
        });
        child.kill(signal);
      }),
  };
  return machine;
}

/** Machines in one directory, closed together. */
export interface Fleet {
  readonly dir: string;
  add(name: string): Promise<Machine>;
  /** Runs `tctl` as on the machine. */
  tctl(on: Machine, ...args: string[]): ReturnType<typeof run>;
  /** For people who come through the proxy at that web port. */
  people(on: { auth: Machine; proxy: Machine; web: number }): PeopleCluster;
  close(): Promise<void>;
}

export function createFleet(): Fleet {
  const dir = mkdtempSync(join(tmpdir(), 'fleet-'));
  chmodSync(dir, 0o755);
  const machines: Machine[] = [];
  const tctl: Fleet['tctl'] = (on, ...args) => run(join(bin, 'tctl'), ['--config', on.config, ...args]);
  return {
    dir,
    tctl,
    add: async (name) => {
      const [diag = 0] = await freePorts(1);
      const machine = createMachine(dir, name, diag);
      machines.push(machine);
      return machine;
    },
    people: ({ auth, proxy, web }) => {
      const env = (person: string): NodeJS.ProcessEnv => {
        const home = join(dir, 'home', person);
        if (!existsSync(home)) mkdirSync(home, { recursive: true, mode: 0o700 });
        const made: NodeJS.ProcessEnv = {
          ...process.env,
          HOME: home,
          TSH_HOME: join(home, '.tsh'),
          SSL_CERT_FILE: join(proxy.dataDir, 'webproxy_cert.pem'),
          PATH: `${bin}:${process.env['PATH'] ?? ''}`,
        };
        delete made['SSH_AUTH_SOCK'];
        return made;
      };
      return {
        dir,
        dataDir: proxy.dataDir,
        ports: { web },
        env,
        tctl: (...args) => tctl(auth, ...args),
        tsh: (person: string, args: readonly string[], options: RunOptions = {}) =>
          run(join(bin, 'tsh'), args, { ...options, env: { ...env(person), ...options.env } }),
      };
    },
    close: async () => {
      await Promise.all(machines.map((machine) => machine.stop()));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
