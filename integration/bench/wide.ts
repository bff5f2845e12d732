/*
 * What a wide and old state costs one process, at n, 2n and 4n: `make bench-scale` prints it first. Slopes
 * and pauses count: everything here is done by the product's own code, without a network.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { turns } from '../../src/base/turns.ts';
import { listHosts, mostHostsOfPage } from '../../src/api/operations/host.ts';
import { hostRecordOf } from '../../src/domain/host-info.ts';
import { type RoleSpec, roleSpec } from '../../src/domain/role-spec.ts';
import { encodeViews } from '../../src/log/encoded-views.ts';
import type { Fact, Position, StreamName } from '../../src/log/event.ts';
import { nodeIndexer } from '../../src/proxy/ssh/node-index.ts';
import { hostsView, type HostsState } from '../../src/views/hosts.ts';
import { listedHosts } from '../../src/views/listed-hosts.ts';
import { storedView } from '../../src/views/open-views.ts';
import { presenceViewBy } from '../../src/views/presence.ts';
import { recordedAt } from '../../src/views/testing.ts';
import { usersView } from '../../src/views/users.ts';
import type { Projection } from '../../src/views/view.ts';
import { printOldAudit } from './old-audit.ts';
import { printOpenings } from './old-log.ts';
import { printFirstDecisions } from './old-user.ts';

const at = '2026-01-01T00:00:00.000Z';
const idOf = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
const labelsOfHost = 30;

function hostFact(n: number, version = '4.5.0'): Fact {
  const labels = Object.fromEntries(
    Array.from({ length: labelsOfHost }, (_, i) => [
      `label-${i}`,
      i === 0 ? `team-${n % 100}` : `value-${i}-${(n * (i + 7)) % 1000}`,
    ]),
  );
  const host = {
    ...{ hostId: idOf(n), role: 'Node', nodename: `node-${n}.eu-west-1.example`, version, labels },
    ...{ address: `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}:3022` },
    ...{ publicAddress: '', sshPublicAddress: '' },
  };
  return { type: 'host.changed', data: { host } };
}

/** Twenty roles of fifty expressions each, of which one allows a team. */
const roles: readonly RoleSpec[] = Array.from({ length: 20 }, (_, n) =>
  roleSpec.parse({
    name: `role-${n}`,
    options: {
      ...{ maxSessionTtlSeconds: 108_000, forwardAgent: true, portForwarding: true, maxSessions: 0 },
      ...{ disconnectExpiredCert: false, clientIdleTimeoutSeconds: 0 },
    },
    allow: {
      logins: [`login-${n}`],
      nodeLabels: {
        'label-0': [...Array.from({ length: 49 }, (_, i) => `^team-${n}x${i}.*$`), `team-${n}`],
      },
    },
    deny: { logins: [], nodeLabels: {} },
  }),
);

function folded<S>(
  projection: Projection<S>,
  count: number,
  made: (n: number) => readonly [StreamName, Fact],
): S {
  let state = projection.initial;
  for (let n = 0; n < count; n++)
    state = projection.apply(state, { ...recordedAt(n + 1, ...made(n)), revision: 1 });
  return state;
}

/**
 * @returns how long it took, and the longest time for which nobody else would have been served, both in ms.
 */
async function measured(
  act: () => Promise<void>,
): Promise<{ readonly ms: number; readonly pauseMs: number }> {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  await turn();
  const from = performance.now();
  await act();
  const ms = performance.now() - from;
  await turn();
  delays.disable();
  return { ms, pauseMs: delays.max / 1e6 };
}

const row = (what: string, text: string): void => {
  console.log(`${what.padEnd(78)} ${text}`);
};
const told = ({ ms, pauseMs }: { readonly ms: number; readonly pauseMs: number }): string =>
  `${ms.toFixed(0)} ms in all, longest pause ${pauseMs.toFixed(0)} ms`;

async function hostFigures(count: number): Promise<void> {
  let hosts: HostsState = folded(hostsView, count, (n) => [`host-${idOf(n)}`, hostFact(n)]);
  const presence = folded(presenceViewBy({ now: () => at, monotonic: () => 0 }), count / 250, (n) => [
    `presence-${idOf(0)}`,
    {
      type: 'hosts.renewed',
      data: {
        hosts: Array.from({ length: 250 }, (_, i) => ({
          ...{ hostId: idOf(n * 250 + i), role: 'Node', seenAt: at, ttlSeconds: 600 },
        })),
      },
    },
  ]);
  for (const which of ['the first time', 'again'])
    row(
      `${count} nodes listed for 20 roles of 50 expressions, ${which}`,
      told(
        await measured(async () => {
          for (let after: string | undefined; ;) {
            const page = await listedHosts(
              { hosts, presence },
              { role: 'Node', labels: {}, subject: { roles, traits: {} }, atMs: 0 },
              { limit: mostHostsOfPage, after },
              turns(),
            );
            JSON.stringify(listHosts.output.parse({ ...page, hosts: page.hosts.map(hostRecordOf) }));
            await turn();
            after = page.next;
            if (after === undefined) break;
          }
        }),
      ),
    );
  const indexOf = nodeIndexer();
  indexOf(hosts);
  const changes = 200;
  const { ms } = await measured(() => {
    for (let n = 0; n < changes; n++) {
      hosts = hostsView.apply(hosts, recordedAt(count + n + 1, `host-${idOf(n)}`, hostFact(n, '4.6.0')));
      indexOf(hosts);
    }
    return Promise.resolve();
  });
  row(
    `${count} nodes folded and in a proxy's index, one of them changes`,
    `${((ms / changes) * 1000).toFixed(0)} us`,
  );
  const users = folded(usersView, count / 2, (n) => [
    `user-user${n}`,
    { type: 'user.created', data: { username: `user${n}`, roles: ['admin'], traits: { logins: ['root'] } } },
  ]);
  const viewOf = <S>(state: S, position: Position) => ({ state: () => state, position: () => position });
  row(
    `a snapshot of ${count} hosts and ${count / 2} users`,
    told(
      await measured(async () => {
        await encodeViews([storedView(hostsView, viewOf(hosts, 1)), storedView(usersView, viewOf(users, 1))]);
      }),
    ),
  );
}

/** Prints the figures of one process. */
export async function printWideFigures(count: number): Promise<void> {
  for (const factor of [1, 2, 4]) await hostFigures(count * factor);
  for (const factor of [1, 2, 4]) await printFirstDecisions(count * factor);
  for (const factor of [10, 20, 40])
    await printOpenings(count * factor, async (what, act) => {
      row(what, told(await measured(act)));
    });
  for (const factor of [10, 20, 40]) await printOldAudit(count * factor, true);
}

if (import.meta.main) await printWideFigures(Number(process.argv[2] ?? 5_000));
