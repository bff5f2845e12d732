import type { ChildProcess } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { daemonProcess, type Ended, removeFolder } from './daemon-process.ts';
import { freePorts } from './own-ports.ts';
import { type Ran, run, type RunOptions } from './run-program.ts';

const bin = resolve('bin');

export interface ClusterOptions {
  readonly secondFactor?: 'otp' | 'off';
  /** Replaces parts of the generated teleport.yaml. */
  readonly yaml?: (text: string) => string;
  readonly dataDir?: string;
  readonly args?: readonly string[];
  /** argv before the daemon's: `prlimit …`. */
  readonly within?: readonly string[];
  /** What is started; default: `bin/teleport` of this tree. */
  readonly program?: string;
}

/** A cluster of one machine, started by the real command lines. */
export interface Cluster {
  readonly dir: string;
  readonly dataDir: string;
  readonly config: string;
  readonly ports: { auth: number; ssh: number; proxySsh: number; web: number; diag: number };
  readonly nodename: string;
  /**
   * For tsh and stock clients: PATH with our programs first, TSH_HOME of `person`, trust in the web
   * certificate.
   */
  env(person: string): NodeJS.ProcessEnv;
  tshHome(person: string): string;
  tctl(...args: string[]): Promise<Ran>;
  tsh(person: string, args: readonly string[], options?: RunOptions): Promise<Ran>;
  /** Starts the daemon (again). Resolves when all is well by /readyz. */
  start(): Promise<void>;
  /** Starts the daemon without waiting. */
  spawn(): ChildProcess;
  /** Sends the signal and waits for the end of the process. */
  stop(signal?: NodeJS.Signals): Promise<Ended>;
  /** Replaces the configuration; before `start`. */
  configure(yaml: string): void;
  pid(): number;
  /** `strict`: whether all is well; `role=proxy`: for that role alone. */
  readyz(query?: string): Promise<{ code: number; body: string } | undefined>;
  /** Everything the daemon wrote. */
  output(): string;
  /** Stops and removes everything. */
  close(): Promise<void>;
}

async function clusterPorts(): Promise<Cluster['ports']> {
  const [auth = 0, ssh = 0, proxySsh = 0, web = 0, diag = 0] = await freePorts(5);
  return { auth, ssh, proxySsh, web, diag };
}

/** Prepares the directory and the configuration; nothing runs yet. */
export async function createCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const dir = mkdtempSync(join(tmpdir(), 'cluster-'));
  chmodSync(dir, 0o755);
  const ports = await clusterPorts();
  const { auth, ssh, proxySsh, web } = ports;
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
  tunnel_listen_addr: 127.0.0.1:0
  peer_listen_addr: 127.0.0.1:0
  public_addr: localhost:${web}
  ssh_public_addr: localhost:${proxySsh}
`;
  writeFileSync(config, options.yaml?.(yaml) ?? yaml);
  const daemon = daemonProcess({
    name: 'the daemon',
    config,
    diagPort: ports.diag,
    ...(options.program === undefined ? {} : { program: options.program }),
  });
  const startOptions = { within: options.within ?? [], args: options.args ?? [] };

  const cluster: Cluster = {
    dir,
    dataDir,
    config,
    ports,
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
    spawn: () => daemon.spawn(startOptions),
    start: () => daemon.start(startOptions),
    stop: (signal) => daemon.stop(signal),
    configure: (text) => {
      writeFileSync(config, text);
    },
    pid: () => daemon.pid(),
    readyz: (query) => daemon.readyz(query),
    output: () => daemon.allOutput(),
    close: async () => {
      await cluster.stop();
      removeFolder(dir);
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
