import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ended, until } from '../harness/run-program.ts';
import { unpackPackages } from '../harness/debian-packages.ts';
import { freePorts } from '../harness/own-ports.ts';

const portNames = ['web', 'ssh'] as const;
export type BalancedPorts = Readonly<Record<(typeof portNames)[number], number>>;

/** One machine behind the balancer. */
export interface Behind {
  readonly name: string;
  readonly ports: BalancedPorts;
  /** `host:port` of its `/readyz`. */
  readonly diagAddress: string;
}

/** A real HAProxy that passes TCP connections on to those machines that say they should get some. */
export interface Balancer {
  /** Where it listens, by the name of the port behind it. */
  readonly ports: BalancedPorts;
  /** `UP`, `DOWN`, by machine and port, as HAProxy sees them now. */
  states(): Promise<ReadonlyMap<string, string>>;
  close(): Promise<void>;
}

/**
 * Starts it; resolves when it knows of each machine how it is.
 * @param asks what it asks each machine for: `/readyz`.
 * @returns undefined, with the reason printed, where HAProxy cannot be had.
 */
export async function startBalancer(behind: readonly Behind[], asks: string): Promise<Balancer | undefined> {
  const root = await unpackPackages('trixie', ['haproxy', 'base-files'], { dependencies: true });
  if (root === undefined) return undefined;
  const [stats = 0, web = 0, ssh = 0] = await freePorts(3);
  const ports = { web, ssh };
  const directory = mkdtempSync(join(root, 'balancer-'));
  const config = join(directory, 'haproxy.cfg');
  writeFileSync(config, configuration(behind, ports, { stats, asks }));
  const child = spawn('chroot', [root, '/usr/sbin/haproxy', '-db', '-f', config.slice(root.length)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => (said += data.toString()));
  const balancer: Balancer = {
    ports,
    states: async () => {
      const page = await (await fetch(`http://127.0.0.1:${stats}/;csv`)).text();
      const rows = page.split('\n').map((row) => row.split(','));
      const servers = rows.filter(([, server = '']) => behind.some(({ name }) => name === server));
      return new Map(servers.map(([port = '', name = '', ...rest]) => [`${name} ${port}`, rest[15] ?? '']));
    },
    close: async () => {
      await ended(child);
      rmSync(directory, { recursive: true, force: true });
    },
  };
  await until('the balancer to know of each', async () => {
    if (child.exitCode !== null) throw new Error(`haproxy ended: ${said}`);
    const states = await balancer.states().catch(() => new Map<string, string>());
    return states.size === portNames.length * behind.length && ![...states.values()].includes('no check')
      ? true
      : undefined;
  });
  return balancer;
}

/** As docs/production.md has it, with a pace for tests. */
const configuration = (
  behind: readonly Behind[],
  ports: BalancedPorts,
  { stats, asks }: { readonly stats: number; readonly asks: string },
): string => `defaults
  mode tcp
  timeout connect 2s
  timeout client 1m
  timeout server 1m
listen stats
  mode http
  bind 127.0.0.1:${stats}
  stats enable
  stats uri /
${portNames
  .map(
    (name) => `listen ${name}
  bind 127.0.0.1:${ports[name]}
  balance roundrobin
  option httpchk GET ${asks}
  default-server inter 200ms fall 2 rise 1
${behind.map(({ name: machine, ports: at, diagAddress }) => `  server ${machine} 127.0.0.1:${at[name]} check addr ${diagAddress.split(':')[0] ?? ''} port ${diagAddress.split(':')[1] ?? ''}`).join('\n')}
`,
  )
  .join('')}`;
