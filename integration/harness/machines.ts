import { chmodSync, existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { run, type RunOptions } from './run-program.ts';
import { type DaemonProcess, daemonProcess, removeFolder } from './daemon-process.ts';
import { freePorts } from './own-ports.ts';
import type { PeopleCluster } from './people.ts';

const bin = resolve('bin');

/** One process of a cluster, with a directory and a configuration of its own. */
export interface Machine extends DaemonProcess {
  readonly name: string;
  readonly dataDir: string;
  readonly config: string;
  configure(yaml: string): void;
}

export function createMachine(dir: string, name: string, diagPort: number, program?: string): Machine {
  const config = join(dir, `${name}.yaml`);
  return {
    ...daemonProcess({ name, config, diagPort, ...(program === undefined ? {} : { program }) }),
    name,
    dataDir: join(dir, `${name}-data`),
    config,
    configure: (yaml) => {
      writeFileSync(config, yaml, { mode: 0o600 }); // it may hold a token
    },
  };
}

/** Machines in one directory, closed together. */
export interface Fleet {
  readonly dir: string;
  /** @param program what it is started by; default: `bin/teleport` of this tree. */
  add(name: string, program?: string): Promise<Machine>;
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
    add: async (name, program) => {
      const [diag = 0] = await freePorts(1);
      const machine = createMachine(dir, name, diag, program);
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
      removeFolder(dir);
    },
  };
}
