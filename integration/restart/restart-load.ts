import { Agent, get } from 'node:https';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type Cluster } from '../harness/cluster.ts';
import { run } from '../harness/run-program.ts';

/** What a kind of client did while the load ran. */
export interface Tally {
  done: number;
  readonly failures: string[];
}

export interface Load {
  readonly tallies: Readonly<Record<string, Tally>>;
  /** Lets what is under way finish. */
  stop(): Promise<void>;
}

/** Between two connections of a kind: without it they alone fill a machine. */
const leastPauseMs = 10;
/**
 * Each rests so many times as long as it took. `make soak` says 1: a machine that does nothing else can take
 * it.
 */
export const loadRest = Number(process.env['LOAD_REST'] ?? 3);

/**
 * Clients of every kind, each opening one connection or command after the other until stopped. Each rests for
 * `loadRest` times as long as it took, and for `pauseMs` at least: 10 ms, or what is given for a load that
 * goes on for minutes.
 */
export function startLoad(
  cluster: { readonly ports: Omit<Cluster['ports'], 'diag' | 'auth'> & { readonly auth?: number } },
  commands: Readonly<Record<string, () => Promise<void>>>,
  pauseMs = leastPauseMs,
): Load {
  const { web, proxySsh, ssh, auth } = cluster.ports;
  const agent = new Agent({ keepAlive: true, maxSockets: 2 });
  const clients: Record<string, () => Promise<void>> = {
    ...(auth !== undefined && { 'tcp to auth': () => openAndClose(auth) }),
    'ssh banner of the proxy': () => banner(proxySsh),
    'ssh banner of the node': () => banner(ssh),
    https: () => ping(web, undefined),
    'https keep-alive': () => ping(web, agent),
    ...commands,
  };
  const load = startClients(clients, pauseMs);
  return {
    ...load,
    stop: async () => {
      await load.stop();
      agent.destroy();
    },
  };
}

/** Clients of these kinds, each doing the same until stopped; they rest as those of `startLoad`. */
export function startClients(
  clients: Readonly<Record<string, () => Promise<void>>>,
  pauseMs = leastPauseMs,
): Load {
  const stopped = new AbortController();
  const { signal } = stopped;
  const tallies: Record<string, Tally> = {};
  const loops = Object.entries(clients).map(async ([name, act]) => {
    const tally: Tally = { done: 0, failures: [] };
    tallies[name] = tally;
    while (!signal.aborted) {
      const began = performance.now();
      try {
        await act();
        tally.done++;
      } catch (e) {
        tally.failures.push(`${new Date().toISOString()} ${e instanceof Error ? e.message : String(e)}`);
      }
      const restMs = Math.max(loadRest * (performance.now() - began), pauseMs);
      await delay(restMs, undefined, { signal }).catch(() => undefined); // stopped: it rests no longer
    }
  });
  return {
    tallies,
    stop: async () => {
      stopped.abort();
      await Promise.all(loops);
    },
  };
}

/** One line a kind, for the output of the test. */
export const tallyLines = ({ tallies }: Load): string =>
  Object.entries(tallies)
    .map(([name, { done, failures }]) => `${name.padEnd(26)} ${done} done, ${failures.length} failed`)
    .join('\n');

export const failuresOf = ({ tallies }: Load): string[] =>
  Object.entries(tallies).flatMap(([name, { failures }]) => failures.map((one) => `${name}: ${one}`));

/** A command that must exit 0. */
export const command =
  (program: string, args: readonly string[], env: NodeJS.ProcessEnv, expected = '') =>
  async (): Promise<void> => {
    const ran = await run(program, args, { env });
    if (ran.code !== 0 || !ran.stdout.includes(expected))
      throw new Error(`${program} ${args.join(' ')}: exit ${String(ran.code)} ${ran.stdout}${ran.stderr}`);
  };

const openAndClose = (port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.end();
    });
    socket.on('error', reject);
    socket.on('close', () => {
      resolve();
    });
    socket.resume();
  });

const banner = (port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('data', (data: Buffer) => {
      if (data.toString().startsWith('SSH-2.0-OpenSSH_Teleport')) resolve();
      else reject(new Error(`banner: ${data.toString()}`));
      socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => {
      reject(new Error('closed without a banner'));
    });
  });

const ping = (port: number, agent: Agent | undefined): Promise<void> =>
  new Promise((resolve, reject) => {
    const request = get(
      { host: '127.0.0.1', port, path: '/webapi/ping', agent: agent ?? false, rejectUnauthorized: false },
      (response) => {
        response.resume();
        response.on('end', () => {
          if (response.statusCode === 200) resolve();
          else reject(new Error(`ping: ${String(response.statusCode)}`));
        });
        response.on('error', reject);
      },
    );
    request.on('error', reject);
  });
