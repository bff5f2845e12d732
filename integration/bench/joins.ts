/*
 * Machines that join with one token, at one and at two auth servers in processes of their own, on one
 * store. The machines' own work is done on the same cores, so that the CPU of an auth server for each join
 * says more than their number in a second.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { callOperation } from '../../src/api/call-operation.ts';
import { dialOneOf } from '../../src/api/dial-servers.ts';
import { type HttpClient, httpOver } from '../../src/api/http-over.ts';
import { joinCluster } from '../../src/api/join-client.ts';
import { joinHost } from '../../src/api/operations/host.ts';
import { createToken } from '../../src/api/operations/token.ts';
import { authServerName, tlsServer } from '../../src/api/tls-dial.ts';
import { errorCodes, isCoded } from '../../src/base/errors.ts';
import type { HostPort } from '../../src/base/service.ts';
import { minute } from '../../src/base/time.ts';
import { realWorld } from '../../src/base/world.ts';
import { generateEd25519 } from '../../src/pki/key-pair.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { type AuthDaemon, startAuthDaemons } from '../simulator/auth-daemons.ts';
import type { Storage } from '../simulator/shared-store.ts';
import type { Figure } from './bars.ts';
import { cpuSeconds, percentile } from './measure.ts';

/** At each server at the same time. */
const atOnce = 48;
const limits = { timeoutMs: minute };
const mostAttempts = 5;

interface Stage {
  readonly auths: readonly AuthDaemon[];
  readonly ca: readonly string[];
  readonly token: string;
}
interface Machine {
  readonly hostId: string;
  readonly nodename: string;
  readonly role: 'Node';
  readonly additionalPrincipals: string[];
  readonly key: ReturnType<typeof generateEd25519>;
}

let made = 0;
function newMachine(): Machine {
  const hostId = realWorld.uuid();
  return { hostId, nodename: `n${++made}`, role: 'Node', additionalPrincipals: [], key: generateEd25519() };
}

/** Each from an address of its own: an auth server lets only some machines a second in from one. */
const from =
  (n: number) =>
  async (server: HostPort): Promise<Socket> => {
    const localAddress = `127.${1 + ((n >> 16) & 63)}.${(n >> 8) & 255}.${1 + (n % 250)}`;
    const socket = connect({ ...server, localAddress });
    await once(socket, 'connect');
    return socket;
  };

/** One auth server, as machines reach it. */
interface Front {
  readonly machines: readonly unknown[];
  join(n: number, lane: number): Promise<unknown>;
  close(): void;
}

/** How machines reach an auth server: as they do, or by connections that others have made before them. */
const ways = {
  'connections that are open': (
    { ca, token }: Stage,
    { address }: AuthDaemon,
    machines: Machine[],
  ): Front => {
    const lanes = Array.from({ length: atOnce }, (_, n): HttpClient => {
      const server = tlsServer(address, { ca, serverName: authServerName }, from((n << 8) + address.port));
      return httpOver(dialOneOf([server], realWorld), true);
    });
    const asked = machines.map(({ key, ...machine }) => ({
      ...{ ...machine, token, publicKey: toAuthorizedKeyLine(publicKeyOf(key).blob) },
    }));
    return {
      machines: asked,
      join: (n: number, lane: number) => {
        const [about, http] = [asked[n], lanes[lane]];
        if (about === undefined || http === undefined) throw new Error('bug: no such machine');
        return callOperation(http, joinHost, { ...about, sentAt: realWorld.now() }, realWorld, limits);
      },
      close: () => {
        for (const lane of lanes) lane.close();
      },
    };
  },
  'a connection each': ({ ca, token }: Stage, { address }: AuthDaemon, machines: Machine[]): Front => ({
    machines,
    join: (n: number) => {
      const machine = machines[n];
      if (machine === undefined) throw new Error('bug: no such machine');
      const trust = { servers: [address], pins: [], known: ca, through: from((n << 8) + address.port) };
      return joinCluster(trust, { ...machine, token: () => token }, realWorld);
    },
    close: () => undefined,
  }),
} as const;

async function storm(stage: Stage, way: keyof typeof ways, joins: number): Promise<readonly Figure[]> {
  const each = Math.ceil(joins / stage.auths.length);
  const fronts = stage.auths.map((auth) => ways[way](stage, auth, Array.from({ length: each }, newMachine)));
  const took: number[] = [];
  let again = 0;
  /** As a machine does, which asks again by itself. */
  const persist = async (join: () => Promise<unknown>): Promise<void> => {
    for (let attempt = 1; ; attempt++)
      try {
        await join();
        return;
      } catch (e) {
        if (attempt === mostAttempts || !isCoded(e) || !errorCodes[e.code].retry) throw e;
        again++;
      }
  };
  const cpu = (): number => stage.auths.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0);
  const metric = async (name: string): Promise<number> =>
    (await Promise.all(stage.auths.map((one) => one.metric(name)))).reduce((sum, one) => sum + one, 0);
  const [cpuBefore, conflictsBefore] = [cpu(), await metric(conflicts)];
  const began = performance.now();
  await Promise.all(
    fronts.map(async (front) => {
      let next = 0;
      const one = async (_: unknown, lane: number): Promise<void> => {
        while (next < front.machines.length) {
          const asked = performance.now();
          const n = next++;
          await persist(() => front.join(n, lane));
          took.push(performance.now() - asked);
        }
      };
      await Promise.all(Array.from({ length: atOnce }, one));
    }),
  );
  const seconds = (performance.now() - began) / 1000;
  const done = took.length;
  const conflictsMet = (await metric(conflicts)) - conflictsBefore;
  const cpuMs = (cpu() - cpuBefore) * 1000;
  for (const front of fronts) front.close();
  const of = `${stage.auths.length} auth server${stage.auths.length > 1 ? 's' : ''}, ${way}`;
  return [
    { what: `${of}: in a second`, value: done / seconds, unit: '/s' },
    { what: `${of}: CPU of these, each`, value: cpuMs / done, unit: 'ms' },
    { what: `${of}: conflicts`, value: conflictsMet, unit: '', most: 0 },
    { what: `${of}: p99`, value: percentile(took, 99), unit: 'ms' },
    { what: `${of}: asked again`, value: again, unit: '' },
  ];
}
const conflicts = 'log_conflicts{partition="state"}';

/** At one and at two auth servers. */
export async function measureJoins(joins: number, storage: Storage | undefined): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const servers of [1, 2]) figures.push(...(await joinsAt(servers, joins, storage)));
  return figures;
}

async function joinsAt(
  servers: number,
  joins: number,
  storage: Storage | undefined,
): Promise<readonly Figure[]> {
  // Nobody else's allowance is measured here.
  const own = storage && { ...storage, prefix: `/bench-${servers}` };
  const daemons = startAuthDaemons(own, { quotas: { joins: 100_000_000 } });
  try {
    const auths: AuthDaemon[] = [];
    for (let n = 0; n < servers; n++) auths.push(await daemons.add());
    const addresses = auths.map(({ address }) => address);
    const admin = await daemons.client('Admin', addresses);
    const { token } = await admin.call(createToken, { roles: ['Node'], ttlSeconds: 3600 });
    admin.close();
    const { tlsCertificatePem } = await daemons.authority();
    const stage = { auths, ca: [tlsCertificatePem], token };
    const figures: Figure[] = [];
    for (const way of ['connections that are open', 'a connection each'] as const) {
      // The first joins compile what the others run.
      await storm(stage, way, 200);
      figures.push(...(await storm(stage, way, joins)));
    }
    return figures;
  } finally {
    await daemons.close();
  }
}
