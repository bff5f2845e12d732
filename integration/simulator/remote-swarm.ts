import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SwarmOrder, SwarmReport, SwarmRequest } from './swarm-process.ts';

/**
 * Light nodes in processes of their own: one process may have fewer connections open than a large cluster
 * has.
 */
export interface RemoteSwarm {
  readonly pids: readonly number[];
  /** Resolves when all nodes are announced. */
  start(order: Omit<SwarmOrder, 'firstIndex' | 'dataDir'>): Promise<void>;
  /** Of all processes together. */
  report(): Promise<SwarmReport>;
  close(): Promise<void>;
}

type Ask = (request: SwarmRequest) => Promise<unknown>;

export function forkSwarm(processes: number): RemoteSwarm {
  const children = Array.from({ length: processes }, child);
  const dataDir = mkdtempSync(join(tmpdir(), 'swarm-'));
  return {
    pids: children.map(({ pid }) => pid),
    start: async (order) => {
      const share = Math.ceil(order.count / processes);
      await Promise.all(
        children.map(({ ask }, i) =>
          ask({
            start: {
              ...{ ...order, dataDir },
              count: Math.max(0, Math.min(share, order.count - i * share)),
              firstIndex: i * share,
              atOnce: Math.ceil(order.atOnce / processes),
            },
          }),
        ),
      );
    },
    report: async () => {
      const reports = (await Promise.all(children.map(({ ask }) => ask({ report: true })))) as SwarmReport[];
      return {
        nodes: sum(reports.map((one) => one.nodes)),
        inTrouble: sum(reports.map((one) => one.inTrouble)),
        troubles: reports.flatMap((one) => one.troubles),
        heartbeatMs: reports.flatMap((one) => one.heartbeatMs),
        refusedHeartbeats: sum(reports.map((one) => one.refusedHeartbeats)),
      };
    },
    close: async () => {
      await Promise.all(children.map(({ end }) => end()));
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

function child(): { readonly pid: number; readonly ask: Ask; readonly end: () => Promise<void> } {
  const program = fork(join(import.meta.dirname, 'swarm-process.ts'), {
    execArgv: ['--disable-warning=ExperimentalWarning', '--max-old-space-size=8192'],
    serialization: 'advanced',
  });
  const waiting = new Map<number, { resolve: (answer: unknown) => void; reject: (e: Error) => void }>();
  let last = 0;
  program.on('message', (message: { id: number; answer?: unknown; failure?: string }) => {
    const asked = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.failure !== undefined) asked?.reject(new Error(message.failure));
    else asked?.resolve(message.answer);
  });
  program.on('exit', (code) => {
    for (const { reject } of waiting.values())
      reject(new Error(`a process of simulated nodes ended with ${code}`));
  });
  return {
    pid: program.pid ?? 0,
    ask: (request) =>
      new Promise((resolve, reject) => {
        const id = ++last;
        waiting.set(id, { resolve, reject });
        program.send({ id, request });
      }),
    end: async () => {
      if (program.exitCode !== null || program.signalCode !== null) return;
      const ended = once(program, 'exit');
      program.kill();
      await ended;
    },
  };
}
