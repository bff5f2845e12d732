/*
 * All nodes lose their only auth server at the same moment, and come back when it has started again. How
 * long that takes, and what it costs the auth server.
 */
import { hostPresence } from '../../src/api/announce-host.ts';
import { type AuthDaemon, startAuthDaemons } from '../simulator/auth-daemons.ts';
import { forkSwarm, type RemoteSwarm } from '../simulator/remote-swarm.ts';
import { until } from '../harness/run-program.ts';
import type { Figure } from './bars.ts';
import { cpuSeconds } from './measure.ts';

/** One process may not have more connections open than this machine allows. */
const nodesInProcess = 1_000;

interface Back {
  readonly nodes: number;
  readonly seconds: number;
  readonly half: number;
  readonly cpuMsEach: number;
  readonly handshakes: readonly (readonly [outcome: string, count: number])[];
}

/** What a start costs by itself: of the CPU seconds of a process that has just become ready. */
async function startAlone({ machine }: AuthDaemon): Promise<number> {
  await machine.stop('SIGKILL');
  await machine.start();
  await new Promise((next) => setTimeout(next, 3_000));
  return cpuSeconds(machine.pid());
}

async function comeBack(nodes: number): Promise<Back> {
  const daemons = startAuthDaemons();
  const swarm = forkSwarm(Math.ceil(nodes / nodesInProcess));
  try {
    const auth = await daemons.add();
    const alone = await startAlone(auth);
    await swarm.start({
      ...{ count: nodes, atOnce: 64, overMs: 0, servers: [auth.address], pace: hostPresence },
      authority: await daemons.authority(),
    });
    await auth.machine.stop('SIGKILL');
    await until('all nodes to notice', async () =>
      (await swarm.report()).inTrouble === nodes ? true : undefined,
    );
    await auth.machine.start();
    const { seconds, half } = await allBack(swarm, nodes);
    return {
      ...{ nodes, seconds, half },
      cpuMsEach: ((cpuSeconds(auth.machine.pid()) - alone) * 1000) / nodes,
      handshakes: await handshakesOf(auth),
    };
  } finally {
    await swarm.close();
    await daemons.close();
  }
}

async function allBack(swarm: RemoteSwarm, nodes: number): Promise<{ seconds: number; half: number }> {
  const began = performance.now();
  const passed = (): number => (performance.now() - began) / 1000;
  let half: number | undefined;
  await until(
    'all nodes to be back',
    async () => {
      const { inTrouble } = await swarm.report();
      if (inTrouble <= nodes / 2) half ??= passed();
      return inTrouble === 0 ? true : undefined;
    },
    600_000,
  );
  return { seconds: passed(), half: half ?? passed() };
}

/** As its metrics name them. */
async function handshakesOf(auth: AuthDaemon): Promise<Back['handshakes']> {
  const outcomes = ['begun', 'done', 'failed', 'slow', 'turned_away', 'left'];
  return Promise.all(
    outcomes.map(
      async (outcome) => [outcome, await auth.metric(`auth_handshakes_total{outcome="${outcome}"}`)] as const,
    ),
  );
}

export async function measureComeBack(nodes: number): Promise<readonly Figure[]> {
  const { seconds, half, cpuMsEach, handshakes } = await comeBack(nodes);
  return [
    { what: 'half are back after', value: half, unit: 's' },
    { what: 'all are back after', value: seconds, unit: 's', most: 60 },
    { what: 'CPU of the auth server, each', value: cpuMsEach, unit: 'ms', most: 4 },
    ...handshakes.map(([outcome, count]) => ({ what: `handshakes ${outcome}`, value: count, unit: '' })),
  ];
}
