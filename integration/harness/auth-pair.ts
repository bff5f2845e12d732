import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Ran, run } from './run-program.ts';
import { type DaemonProcess, daemonProcess, removeFolder } from './daemon-process.ts';
import { freePorts } from './own-ports.ts';

export interface AuthSettings {
  readonly secondFactor?: 'off' | 'otp';
  readonly clusterName?: string;
  /** Keys of `storage` beside those that say where it is. Default: one `key_file` for all. */
  readonly storage?: string;
  /** Further lines of the section `teleport`. */
  readonly teleport?: string;
  /** Further lines of the section `auth_service`. */
  readonly auth?: string;
}

/** One of several auth servers on one store, run by the real command lines. */
export class AuthServer {
  readonly name: string;
  readonly config: string;
  readonly dataDir: string;
  readonly address: string;
  readonly #dir: string;
  readonly #store: string;
  readonly #daemon: DaemonProcess;

  constructor(dir: string, name: string, [port = 0, diag = 0]: readonly number[], store: string) {
    this.#dir = dir;
    this.#store = store;
    this.name = name;
    this.config = join(dir, `${name}.yaml`);
    this.dataDir = join(dir, name);
    this.address = `127.0.0.1:${port}`;
    this.#daemon = daemonProcess({ name, config: this.config, diagPort: diag });
    this.configure();
  }

  configure(settings: AuthSettings = {}): void {
    const { secondFactor = 'off', clusterName = 'example', teleport = '', auth = '' } = settings;
    const storage = settings.storage ?? `key_file: ${join(this.#dir, 'keyring')}`;
    writeFileSync(
      this.config,
      `teleport:
  nodename: ${this.name}
  data_dir: ${this.dataDir}
  storage: {${this.#store}${storage === '' ? '' : `, ${storage}`}}
${teleport}
auth_service:
  listen_addr: ${this.address}
  cluster_name: ${clusterName}
  authentication: {second_factor: "${secondFactor}"}
${auth}
ssh_service: {enabled: no}
proxy_service: {enabled: no}
`,
    );
  }

  /** Begins; does not wait. */
  spawn(): void {
    this.#daemon.spawn();
  }

  ready(): Promise<void> {
    return this.#daemon.ready();
  }

  start(): Promise<void> {
    return this.#daemon.start();
  }

  exited(): number | undefined {
    return this.#daemon.exitCode();
  }

  async stop(signal?: NodeJS.Signals): Promise<void> {
    await this.#daemon.stop(signal);
  }

  signal(name: NodeJS.Signals): void {
    this.#daemon.signal(name);
  }

  /** Everything it wrote. */
  output(): string {
    return this.#daemon.allOutput();
  }

  tctl(...args: string[]): Promise<Ran> {
    return run(resolve('bin/tctl'), ['--config', this.config, ...args]);
  }

  /** What tctl printed. @throws when it failed. */
  async must(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.tctl(...args);
    if (code !== 0) throw new Error(`tctl ${args.join(' ')} exited ${String(code)}: ${stderr}`);
    return stdout;
  }
}

export interface AuthPair {
  readonly dir: string;
  readonly a: AuthServer;
  readonly b: AuthServer;
  close(): Promise<void>;
}

/**
 * Two auth servers, `auth-a` and `auth-b`, each with a data_dir of its own, on one store. Nothing runs yet.
 * @param store what stands in `storage: {}`; default: the directory `store` in `dir`.
 */
export async function authPair(store?: string): Promise<AuthPair> {
  const dir = mkdtempSync(join(tmpdir(), 'auths-'));
  const ports = await freePorts(4);
  const used = store ?? `type: dir, path: ${join(dir, 'store')}`;
  const a = new AuthServer(dir, 'auth-a', ports.slice(0, 2), used);
  const b = new AuthServer(dir, 'auth-b', ports.slice(2), used);
  return {
    dir,
    a,
    b,
    close: async () => {
      await Promise.all([a.stop(), b.stop()]);
      removeFolder(dir);
    },
  };
}

export const keyIdsIn = (path: string): string[] =>
  (JSON.parse(readFileSync(path, 'utf8')) as { keys: { id: string }[] }).keys.map(({ id }) => id);
