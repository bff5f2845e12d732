import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const bin = resolve('bin');

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Buffer;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly timeoutMs?: number;
}

/** Runs a program to its end. Both streams are kept apart. Killed after `timeoutMs` (60 s). */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return new Promise((settle, reject) => {
    const child = spawn(command, args, { env: options.env ?? process.env, cwd: options.cwd });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (d: Buffer) => out.push(d));
    child.stderr.on('data', (d: Buffer) => err.push(d));
    const limit = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 60_000);
    child.on('error', reject);
    child.stdin.on('error', () => undefined); // a program that does not read its input is not a failure of the test
    child.stdin.end(options.input ?? '');
    child.on('close', (code, signal) => {
      clearTimeout(limit);
      settle({ code, signal, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() });
    });
  });
}

/** Asks until `ask` answers something other than undefined; fails after `limitMs` with `what`. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined> | T | undefined,
  limitMs = 30_000,
): Promise<T> {
  const end = Date.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > end) throw new Error(`waited ${limitMs} ms in vain for: ${what}`);
    await delay(50);
  }
}

/** Ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((ready) => {
          const server = createServer();
          server.listen(0, '127.0.0.1', () => {
            ready(server);
          });
        }),
    ),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  return ports;
}

export interface ClusterOptions {
  readonly secondFactor?: 'otp' | 'off';
  /** Replaces parts of the generated teleport.yaml. */
  readonly yaml?: (text: string) => string;
  readonly dataDir?: string;
  readonly args?: readonly string[];
  /** argv before the daemon's: `prlimit …`. */
  readonly within?: readonly string[];
}

/** A cluster of one machine, started by the real command lines. */
export interface Cluster {
  readonly dir: string;
  readonly dataDir: string;
  readonly config: string;
  readonly ports: { auth: number; ssh: number; proxySsh: number; web: number; diag: number };
  readonly nodename: string;
  /** For tsh and stock clients: PATH with our programs first, TSH_HOME of `person`, trust in the web certificate. */
  env(person: string): NodeJS.ProcessEnv;
  tshHome(person: string): string;
  tctl(...args: string[]): Promise<Ran>;
  tsh(person: string, args: readonly string[], options?: RunOptions): Promise<Ran>;
  /** Starts the daemon (again). Resolves when /readyz answers 200. */
  start(): Promise<void>;
  /** Starts the daemon without waiting. */
  spawn(): ChildProcess;
  /** Sends the signal and waits for the end of the process. */
  stop(signal?: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** Replaces the configuration; before `start`. */
  configure(yaml: string): void;
  pid(): number;
  readyz(): Promise<{ code: number; body: string } | undefined>;
  /** Everything the daemon wrote. */
  output(): string;
  /** Stops and removes everything. Keeps the directory when `keep`. */
  close(): Promise<void>;
}

/** Prepares the directory and the configuration; nothing runs yet. */
export async function createCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const dir = mkdtempSync(join(tmpdir(), 'cluster-'));
  chmodSync(dir, 0o755);
  const [auth = 0, ssh = 0, proxySsh = 0, web = 0, diag = 0] = await freePorts(5);
  const dataDir = options.dataDir ?? join(dir, 'data');
  const config = join(dir, 'teleport.yaml');
  const nodename = 'node1';
  const yaml = `teleport:
  nodename: ${nodename}
  data_dir: ${dataDir}
  log: {severity: debug}
auth_service:
  listen_addr: 127.0.0.1:${auth}
  cluster_name: example
  authentication: {second_factor: ${options.secondFactor ?? 'off'}}
ssh_service:
  listen_addr: 127.0.0.1:${ssh}
  labels: {env: test}
proxy_service:
  listen_addr: 127.0.0.1:${proxySsh}
  web_listen_addr: 127.0.0.1:${web}
  public_addr: localhost:${web}
  ssh_public_addr: localhost:${proxySsh}
`;
  writeFileSync(config, options.yaml?.(yaml) ?? yaml);
  let daemon: ChildProcess | undefined;
  let output = '';

  const cluster: Cluster = {
    dir,
    dataDir,
    config,
    ports: { auth, ssh, proxySsh, web, diag },
    nodename,
    tshHome: (person) => join(dir, 'home', person, '.tsh'),
    env: (person) => {
      const home = join(dir, 'home', person);
      mkdirSync(home, { recursive: true, mode: 0o700 });
      const env: NodeJS.ProcessEnv = {
        ...process.env,
        HOME: home,
        TSH_HOME: join(home, '.tsh'),
        SSL_CERT_FILE: join(dataDir, 'webproxy_cert.pem'),
        PATH: `${bin}:${process.env['PATH'] ?? ''}`,
      };
      delete env['SSH_AUTH_SOCK'];
      return env;
    },
    tctl: (...args) => run(join(bin, 'tctl'), ['--config', config, ...args]),
    tsh: (person, args, runOptions = {}) =>
      run(join(bin, 'tsh'), args, { ...runOptions, env: { ...cluster.env(person), ...runOptions.env } }),
    spawn: () => {
      const argv = [
        ...(options.within ?? []),
        join(bin, 'teleport'),
        ...['start', '--config', config, `--diag-addr=127.0.0.1:${diag}`],
        ...(options.args ?? []),
      ];
      const child = spawn(argv[0] ?? '', argv.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
      const keep = (d: Buffer): void => {
        output += d.toString();
      };
      child.stdout.on('data', keep);
      child.stderr.on('data', keep);
      daemon = child;
      return child;
    },
    start: async () => {
      const child = cluster.spawn();
      await until('the daemon to be ready', async () => {
        if (child.exitCode !== null) throw new Error(`teleport exited ${child.exitCode}:\n${output}`);
        return (await cluster.readyz())?.code === 200 ? true : undefined;
      }).catch(async (e: unknown) => {
        const ready = await cluster.readyz();
        throw new Error(`${String(e)}\n${JSON.stringify(ready)}\n${output}`, { cause: e });
      });
    },
    stop: (signal = 'SIGTERM') =>
      new Promise((settle) => {
        const child = daemon;
        const over = child === undefined ? true : child.exitCode !== null || child.signalCode !== null;
        if (child === undefined || over) {
          settle({ code: child?.exitCode ?? null, signal: child?.signalCode ?? null });
          return;
        }
        child.once('exit', (code, by) => {
          settle({ code, signal: by });
        });
        child.kill(signal);
      }),
    configure: (text) => {
      writeFileSync(config, text);
    },
    pid: () => daemon?.pid ?? 0,
    readyz: async () => {
      try {
        const answer = await fetch(`http://127.0.0.1:${diag}/readyz`);
        return { code: answer.status, body: await answer.text() };
      } catch {
        return undefined; // not listening yet
      }
    },
    output: () => output,
    close: async () => {
      await cluster.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return cluster;
}

/** A cluster that serves. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const cluster = await createCluster(options);
  await cluster.start();
  return cluster;
}

/** The invite or reset link in what tctl printed. */
export function linkIn(text: string): string {
  const link = /https?:\/\/\S+\/web\/(?:invite|reset)\/[0-9a-f]{32}/.exec(text)?.[0];
  if (link === undefined) throw new Error(`no link in:\n${text}`);
  return link;
}

/** Reads a file of the cluster's directory. */
export const readText = (path: string): string => readFileSync(path, 'utf8');
