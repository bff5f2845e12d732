import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run, until } from '../harness/run-program.ts';
import type { SwarmAnswer, SwarmAsk } from './agent-swarm.ts';
import { type Front, startTunnelFleet, type TunnelFleet } from './tunnel-fleet.ts';

/** `SWARM_TUNNELS=2000` is what docs/scaling.md has figures of. */
const count = Number(process.env['SWARM_TUNNELS'] ?? 60);

let fleet: TunnelFleet;
let one: Front;
let two: Front;
let swarm: ReturnType<typeof startSwarm>;

function startSwarm() {
  const child = fork('integration/tunnel/agent-swarm.ts', { execArgv: ['--max-semi-space-size=2'] });
  const ask = async (what: SwarmAsk): Promise<SwarmAnswer> => {
    child.send(what);
    const [answer] = (await once(child, 'message')) as [SwarmAnswer];
    return answer;
  };
  return { ask, close: () => child.kill('SIGKILL') };
}

/** The private key of the host authority, as somebody who steals it has it: X.509, PEM. */
async function authorityKey(): Promise<{ readonly caPem: string; readonly caKeyPem: string }> {
  const { fleet: machines, auth } = fleet.cluster;
  const exported = async (...args: string[]): Promise<string> => {
    const ran = await run('bin/tctl', ['--config', auth.config, 'auth', 'export', '--type=tls', ...args], {
      input: 'export private keys of example\n',
    });
    if (ran.code !== 0) throw new Error(ran.stderr);
    return ran.stdout;
  };
  const pin = await fleet.cluster.pin();
  expect(pin).toMatch(/^sha256:/);
  expect(machines.dir).not.toBe('');
  const pems = [
    ...`${await exported()}\n${await exported('--keys')}`.matchAll(
      /-----BEGIN ([A-Z ]+)-----[^]+?-----END \1-----\n/g,
    ),
  ];
  return {
    caPem: pems.find(([, kind]) => kind === 'CERTIFICATE')?.[0] ?? '',
    caKeyPem: pems.find(([, kind]) => kind === 'PRIVATE KEY')?.[0] ?? '',
  };
}

const residentKiB = ({ proxy }: Front): number => {
  const status = readFileSync(`/proc/${proxy.main()?.pid ?? 0}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? '0');
};
/** Seconds of CPU so far. */
const cpuOf = ({ proxy }: Front): number => {
  const stat =
    readFileSync(`/proc/${proxy.main()?.pid ?? 0}/stat`, 'utf8')
      .split(') ')[1]
      ?.split(' ') ?? [];
  return (Number(stat[11]) + Number(stat[12])) / 100;
};
const allOn = (proxies: number, limitMs: number): Promise<number> => {
  const began = performance.now();
  return until(
    `all ${count} nodes to hang on ${proxies} proxies`,
    async () => {
      const { held } = await swarm.ask({ report: true });
      return held[proxies] === count ? performance.now() - began : undefined;
    },
    limitMs,
  );
};

beforeAll(async () => {
  fleet = await startTunnelFleet(2);
  const [first, second] = fleet.fronts;
  if (first === undefined || second === undefined) throw new Error('two proxies');
  [one, two] = [first, second];
  swarm = startSwarm();
});
afterAll(async () => {
  swarm.close();
  await fleet.close();
});

describe(`${count} nodes that hang on two proxies`, () => {
  it(
    'come, cost little while nothing happens, and are back soon after a proxy was killed',
    { timeout: 400_000 },
    async () => {
      const before = [one, two].map(residentKiB);
      await swarm.ask({ open: count, port: fleet.balancer.port, ...(await authorityKey()) });
      const cameMs = await allOn(2, 180_000);
      const memory = [one, two].map((front, i) =>
        Math.round((residentKiB(front) - (before[i] ?? 0)) / count),
      );
      const cpu = [one, two].map(cpuOf);
      const idleMs = 10_000;
      await new Promise((over) => setTimeout(over, idleMs)); // what it costs in a time is what is measured
      const idle = [one, two].map((front, i) => ((cpuOf(front) - (cpu[i] ?? 0)) / idleMs) * 100_000);
      one.proxy.machine.signal('SIGKILL');
      await allOn(1, 30_000);
      await one.proxy.machine.start({ args: one.proxy.args });
      const backMs = await allOn(2, 120_000);
      console.log(
        [
          `${count} nodes came in ${Math.round(cameMs)} ms`,
          `memory ${memory.join(' and ')} KiB a tunnel`,
          `idle ${idle.map((percent) => percent.toFixed(1)).join(' and ')} % of a CPU`,
          `back ${Math.round(backMs)} ms after the proxy served again`,
        ].join('; '),
      );
      expect(Math.max(...fleet.balancer.given.values())).toBeLessThan(8 * count);
    },
  );
});
