import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freePorts, type Ran, run, until } from './cluster.ts';

export interface AuthSettings {
  readonly secondFactor?: 'off' | 'otp';
  readonly clusterName?: string;
  /** Keys of `storage` beside those that say where it is. Default: one `key_file` for all. */
  readonly storage?: string;
  /** Further lines of the section `teleport`. */
  readonly teleport?: string;
}

/** One of several auth servers on one store, run by the real command lines. */
export class AuthServer {
  readonly name: string;
  readonly config: string;
  readonly dataDir: string;
  readonly address: string;
  readonly #diag: number;
  readonly #dir: string;
  readonly #store: string;
  #child: ChildProcess | undefined;
  #output = '';

  constructor(dir: string, name: string, [port = 0, diag = 0]: readonly number[], store: string) {
    this.#dir = dir;
    this.#store = store;
    this.name = name;
    this.config = join(dir, `${name}.yaml`);
    this.dataDir = join(dir, name);
    this.address = `127.0.0.1:${port}`;
    this.#diag = diag;
    this.configure();
  }

  configure(settings: AuthSettings = {}): void {
    const { secondFactor = 'off', clusterName = 'example', teleport = '' } = settings;
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
ssh_service: {enabled: no}
proxy_service: {enabled: no}
`,
    );
  }

  /** Begins; does not wait. */
  spawn(): void {
    const args = ['start', '--config', this.config, `--diag-addr=127.0.0.1:${this.#diag}`];
    const child = spawn(resolve('bin/teleport'), args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (d: Buffer) => (this.#output += d.toString()));
    this.#child = child;
  }

  async ready(): Promise<void> {
    await until(`${this.name} to be ready`, async () => {
      if (this.exited() !== undefined) throw new Error(`${this.name} ended:\n${this.#output}`);
      const answer = await fetch(`http://127.0.0.1:${this.#diag}/readyz`).catch(() => undefined);
      return answer?.status === 200 ? true : undefined;
    });
  }

  async start(): Promise<void> {
    this.spawn();
    await this.ready();
  }

  exited(): number | undefined {
    return this.#child?.exitCode ?? undefined;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  /** Everything it wrote. */
  output(): string {
    return this.#output;
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
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export const keyIdsIn = (path: string): string[] =>
  (JSON.parse(readFileSync(path, 'utf8')) as { keys: { id: string }[] }).keys.map(({ id }) => id);
