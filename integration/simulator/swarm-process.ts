/* Many light nodes in a process of their own; told what to do by its parent. See `remote-swarm.ts`. */
import { join } from 'node:path';
import type { HostPort } from '../../src/base/service.ts';
import type { Pace } from '../../src/api/announce-host.ts';
import { type AuthorityMaterial, signerFrom } from './authority-material.ts';
import { hostCertifier } from './host-certificates.ts';
import { startLightNode } from './light-node.ts';
import { startSwarm, type Swarm } from './swarm.ts';

export interface SwarmOrder {
  readonly count: number;
  readonly firstIndex: number;
  readonly atOnce: number;
  readonly overMs: number;
  readonly servers: readonly HostPort[];
  readonly authority: AuthorityMaterial;
  readonly pace: Pace;
  /** Where the nodes keep their certificates, each in a folder of its own. */
  readonly dataDir: string;
}

export interface SwarmReport {
  readonly nodes: number;
  /**
   * Nodes that do not follow the log, or whose last heartbeat was not taken; and what they say, the commonest
   * first.
   */
  readonly inTrouble: number;
  readonly troubles: readonly (readonly [string, number])[];
  /** Since the last report. */
  readonly heartbeatMs: readonly number[];
  readonly refusedHeartbeats: number;
}

export type SwarmRequest =
  { readonly start: SwarmOrder } | { readonly report: true } | { readonly stop: true };

let swarm: Swarm | undefined;

async function handle(request: SwarmRequest): Promise<unknown> {
  if ('start' in request) {
    const { authority, servers, pace, firstIndex, dataDir, ...size } = request.start;
    const certify = hostCertifier(signerFrom(authority));
    swarm = await startSwarm({
      ...size,
      start: (index, tally) =>
        startLightNode({
          servers,
          identity: certify('Node', `node-${firstIndex + index}`),
          nodename: `node-${firstIndex + index}`,
          dataDir: join(dataDir, `node-${firstIndex + index}`),
          pace,
          tally,
        }),
    });
    return {};
  }
  if (!swarm) throw new Error('no swarm was started');
  if ('report' in request) return report(swarm);
  await swarm.stop();
  return {};
}

function report(swarm: Swarm): SwarmReport {
  const { nodes, tally } = swarm;
  const said = [...swarm.troubles()].sort(([, a], [, b]) => b - a);
  const answer: SwarmReport = {
    nodes: nodes.length,
    inTrouble: said.reduce((sum, [, count]) => sum + count, 0),
    troubles: said.slice(0, 3),
    heartbeatMs: tally.heartbeatMs.splice(0),
    refusedHeartbeats: tally.refusedHeartbeats,
  };
  tally.refusedHeartbeats = 0;
  return answer;
}

process.on('message', (message: { readonly id: number; readonly request: SwarmRequest }) => {
  handle(message.request).then(
    (answer) => process.send?.({ id: message.id, answer }),
    (e: unknown) => process.send?.({ id: message.id, failure: e instanceof Error ? e.stack : String(e) }),
  );
});
process.on('disconnect', () => process.exit(0));
