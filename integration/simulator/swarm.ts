import { pause } from '../../src/base/backoff.ts';
import type { LightNode, Tally } from './light-node.ts';
import { newTally } from './light-node.ts';

/** Many light nodes in this process. */
export interface Swarm {
  readonly nodes: readonly LightNode[];
  readonly tally: Tally;
  /** What is wrong now, each with how many nodes say so. */
  troubles(): ReadonlyMap<string, number>;
  stop(): Promise<void>;
}

export interface SwarmOptions {
  readonly count: number;
  /** So many start at the same time; the next begins when one is announced. */
  readonly atOnce: number;
  /** Milliseconds over which the starts are spread at least. Default 0. */
  readonly overMs?: number;
  readonly start: (index: number, tally: Tally) => Promise<LightNode>;
}

/** Starts the nodes; resolves when all of them are announced. */
export async function startSwarm({ count, atOnce, overMs = 0, start }: SwarmOptions): Promise<Swarm> {
  const nodes: LightNode[] = [];
  const tally = newTally();
  const began = performance.now();
  let next = 0;
  const runner = async (): Promise<void> => {
    while (next < count) {
      const index = next++;
      await pause(Math.max(0, began + (overMs * index) / count - performance.now()));
      const node = await start(index, tally);
      nodes.push(node);
      await node.announced;
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, runner));
  return {
    nodes,
    tally,
    troubles: () => countOf(nodes.flatMap((node) => node.trouble() ?? [])),
    stop: async () => {
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
}

function countOf(texts: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return counts;
}
