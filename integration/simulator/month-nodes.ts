import { hostPresence } from '../../src/api/announce-host.ts';
import type { Caller } from '../../src/api/operation.ts';
import type { Call } from '../../src/api/server-deps.ts';
import type { AuthDeps } from '../../src/auth/deps.ts';
import { heartbeat } from '../../src/auth/host/heartbeat.ts';
import { joinHost } from '../../src/auth/host/join-host.ts';
import { createToken } from '../../src/auth/token/create-token.ts';
import { noDeadline } from '../../src/base/deadline.ts';
import { minute, second } from '../../src/base/time.ts';
import type { HostRecord } from '../../src/domain/host-info.ts';
import { generateEd25519 } from '../../src/pki/key-pair.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import type { MonthClock, MonthServer } from './month-server.ts';

/** All machines, who come and go. */
export interface Nodes {
  /** Those that send signs of life. */
  readonly alive: () => number;
  /**
   * So many minutes of what they say: a heartbeat a minute from each, with a load that was measured. First
   * all who were not heard of since the last time come back.
   */
  beatFor(minutes: number): Promise<void>;
  /**
   * So many join with a token, and as many go: half of them say so, the others are not heard of any more.
   */
  turnOver(count: number): Promise<void>;
}

/** Heartbeats of so long become one fact, and compaction is looked after so often: as in a running server. */
const flushMs = 3 * second;
const tendMs = 15 * second;
/** They come back in as many at once: each such turn takes a fifth of a second. */
const backTogether = 2_500;

const publicKey = toAuthorizedKeyLine(publicKeyOf(generateEd25519()).blob);

export async function startNodes(server: MonthServer, clock: MonthClock, count: number): Promise<Nodes> {
  const { deps } = server;
  let made = 0;
  let turned = 0;
  const newNode = (): HostRecord => nodeNumber(deps, made++);
  const nodes: HostRecord[] = Array.from({ length: count }, newNode);
  const beatAll = async (some: readonly HostRecord[], turn: number): Promise<void> => {
    for (let from = 0; from < some.length; from += backTogether)
      await Promise.all(some.slice(from, from + backTogether).map((node) => beat(deps, node, turn)));
  };
  await beatAll(nodes, turned);
  return {
    alive: () => nodes.length,
    beatFor: async (minutes) => {
      const began = clock.elapsed();
      await beatAll(nodes, ++turned);
      for (let elapsed = 0; elapsed < minutes * minute; elapsed += second) {
        clock.moveTo(began + elapsed);
        const due = nodes.filter((_, i) => i % 60 === (elapsed / second) % 60);
        if (elapsed % minute === 0) turned++;
        await Promise.all(due.map((node) => beat(deps, node, turned)));
        if (elapsed % flushMs === 0) await deps.presence.flush();
        if (elapsed % tendMs === 0) await server.tend();
      }
    },
    turnOver: async (many) => {
      const gone = nodes.splice(0, Math.min(many, nodes.length));
      for (const node of gone.slice(0, gone.length / 2))
        await heartbeat(deps, callOf(deps, node), {
          ...{ host: node, ttlSeconds: hostPresence.ttlSeconds, leaving: true, forGood: true },
        });
      const { token } = await createToken(deps, adminCall(deps), { roles: ['Node'], ttlSeconds: 3_600 });
      const come = gone.map(newNode);
      for (const node of come) {
        const call = { ...callOf(deps, node), caller: { kind: 'anyone', address: node.address } as const };
        await joinHost(deps, call, {
          ...{ hostId: node.hostId, nodename: node.nodename, role: 'Node', token, publicKey },
          ...{ additionalPrincipals: [], sentAt: deps.world.now() },
        });
      }
      await beatAll(come, turned);
      nodes.push(...come);
    },
  };
}

function nodeNumber({ world }: AuthDeps, n: number): HostRecord {
  return {
    ...{ hostId: world.uuid(), role: 'Node', nodename: `node-${n}`, version: '4.5.0' },
    ...{ address: `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}:3022`, publicAddress: '' },
    ...{ sshPublicAddress: '', labels: { env: 'production', team: `team-${n % 100}`, load: '0.00' } },
    measured: ['load'],
  };
}

/** With another load each time. */
function beat(deps: AuthDeps, node: HostRecord, turn: number): Promise<unknown> {
  const load = (((turn * 37 + node.nodename.length * 11) % 400) / 100).toFixed(2);
  const host = { ...node, labels: { ...node.labels, load } };
  return heartbeat(deps, callOf(deps, node), { host, ttlSeconds: hostPresence.ttlSeconds });
}

function callOf({ world }: AuthDeps, { hostId, role, address }: HostRecord): Call {
  const caller: Caller = { kind: 'host', hostId, role, address };
  return { caller, requestId: world.uuid(), deadline: noDeadline };
}

const adminCall = ({ world, hostId }: AuthDeps): Call => ({
  caller: { kind: 'host', role: 'Admin', hostId, address: '127.0.0.1:1' },
  requestId: world.uuid(),
  deadline: noDeadline,
});
