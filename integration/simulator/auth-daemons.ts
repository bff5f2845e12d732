import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { connectAuth } from '../../src/api/auth-connection.ts';
import type { AuthClient } from '../../src/api/client.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import type { HostPort } from '../../src/base/service.ts';
import { hour } from '../../src/base/time.ts';
import { realWorld } from '../../src/base/world.ts';
import type { SystemRole } from '../../src/domain/host-info.ts';
import { openExistingKeyring } from '../../src/log/keyring-file.ts';
import { openLog } from '../../src/log/open-log.ts';
import { openBackend } from '../../src/process/store/open-backend.ts';
import { signersOf } from '../harness/auth-bench.ts';
import { run } from '../harness/run-program.ts';
import { createFleet, type Machine } from '../harness/machines.ts';
import { type AuthorityMaterial, materialOf, signerFrom } from './authority-material.ts';
import { hostCertifier } from './host-certificates.ts';
import { locationOf, type Storage } from './shared-store.ts';
import { freePorts } from '../harness/own-ports.ts';

/** One auth server in a process of its own. */
export interface AuthDaemon {
  readonly machine: Machine;
  readonly address: HostPort;
  readonly pid: number;
  /** Value of a gauge or counter of its `/metrics`; 0 when it is not there. */
  metric(name: string): Promise<number>;
}

/** Auth servers on one store, as `teleport start` makes them. */
export interface AuthDaemons {
  /** Starts one more; resolves when it is ready. */
  add(): Promise<AuthDaemon & { readonly openedInMs: number }>;
  /** The host authority: who has it certifies whom it likes. */
  authority(): Promise<AuthorityMaterial>;
  client(role: SystemRole, servers: readonly HostPort[]): Promise<AuthClient>;
  /** Runs `tctl` as on the machine of that auth server; it may take its time. */
  tctl(on: AuthDaemon, ...args: string[]): ReturnType<typeof run>;
  close(): Promise<void>;
}

/**
 * @param storage the `storage:` mapping; default: a directory. A shared `key_file` is added.
 * @param settings further lines of `auth_service`.
 */
export function startAuthDaemons(storage?: Storage, settings: object = {}): AuthDaemons {
  const fleet = createFleet();
  const keyFile = join(fleet.dir, 'keyring');
  const used = { ...(storage ?? { type: 'dir', path: join(fleet.dir, 'log') }), key_file: keyFile };
  let count = 0;
  const authority = async (): Promise<AuthorityMaterial> => {
    const keyring = await openExistingKeyring(keyFile);
    if (keyring === undefined) throw new Error('no auth server has made the keyring yet');
    const driver = await openBackend(locationOf(used), { sink: silentLog, world: realWorld });
    const log = await openLog({ driver, keyring, world: realWorld, writer: randomUUID(), sink: silentLog });
    try {
      return materialOf((await signersOf(log)).host);
    } finally {
      await log.close();
    }
  };
  return {
    add: async () => {
      const name = `auth-${++count}`;
      const [port = 0] = await freePorts(1);
      const machine = await fleet.add(name);
      const address = { host: '127.0.0.1', port };
      machine.configure(
        stringify({
          teleport: { nodename: name, data_dir: machine.dataDir, storage: used },
          auth_service: {
            listen_addr: `127.0.0.1:${port}`,
            cluster_name: 'example',
            authentication: { second_factor: 'off' },
            ...settings,
          },
          ssh_service: { enabled: 'no' },
          proxy_service: { enabled: 'no' },
        }),
      );
      const began = performance.now();
      await machine.start();
      return {
        machine,
        address,
        pid: machine.pid(),
        openedInMs: performance.now() - began,
        metric: async (wanted) => {
          const ran = await run('curl', ['-sS', '-m', '10', `http://${machine.diagAddress()}/metrics`]);
          const line = ran.stdout.split('\n').find((one) => one.startsWith(`${wanted} `));
          return line === undefined ? 0 : Number(line.slice(wanted.length + 1));
        },
      };
    },
    authority,
    client: async (role, servers) => {
      const identity = hostCertifier(signerFrom(await authority()))(role);
      return connectAuth({ servers, identity, world: realWorld, sink: silentLog });
    },
    tctl: ({ machine }, ...args) =>
      run(join('bin', 'tctl'), ['--config', machine.config, ...args], { timeoutMs: hour }),
    close: () => fleet.close(),
  };
}
