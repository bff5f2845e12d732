/* What a wide state costs one process: the product's own code, without a network. */
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
import { type Figure, leastOf, took } from './bars.ts';

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

const hostsOf = (count: number): HostsState =>
  folded(hostsView, count, (n) => [`host-${idOf(n)}`, hostFact(n)]);

/** A person asks for all nodes. */
export async function measureListing(count: number): Promise<readonly Figure[]> {
  const hosts = hostsOf(count);
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
  const list = async (): Promise<void> => {
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
      if (after === undefined) return;
    }
  };
  const first = await took(list);
  const again = await leastOf(3, list);
  return [
    { what: 'the first time, CPU', value: first.cpuMs, unit: 'ms' },
    { what: 'again, CPU', value: again.cpuMs, unit: 'ms', most: 150 },
    { what: 'longest pause', value: again.pauseMs, unit: 'ms', most: 20 },
  ];
}

export async function measureIndex(count: number): Promise<readonly Figure[]> {
  let hosts = hostsOf(count);
  const indexOf = nodeIndexer();
  indexOf(hosts);
  const changes = 1_000;
  let round = 0;
  const { cpuMs } = await leastOf(3, () => {
    round++;
    for (let n = 0; n < changes; n++) {
      const event = recordedAt(count + round * changes + n, `host-${idOf(n)}`, hostFact(n, `4.6.${round}`));
      hosts = hostsView.apply(hosts, event);
      indexOf(hosts);
    }
    return Promise.resolve();
  });
  return [{ what: 'to fold it and to follow it, CPU', value: cpuMs / changes, unit: 'ms', most: 0.1 }];
}

export async function measureSnapshot(count: number): Promise<readonly Figure[]> {
  const hosts = hostsOf(count);
  const users = folded(usersView, count / 2, (n) => [
    `user-user${n}`,
    { type: 'user.created', data: { username: `user${n}`, roles: ['admin'], traits: { logins: ['root'] } } },
  ]);
  const viewOf = <S>(state: S, position: Position) => ({ state: () => state, position: () => position });
  const { cpuMs, pauseMs } = await leastOf(3, async () => {
    await encodeViews([storedView(hostsView, viewOf(hosts, 1)), storedView(usersView, viewOf(users, 1))]);
  });
  return [
    { what: 'in all, CPU', value: cpuMs, unit: 'ms' },
    { what: 'longest pause', value: pauseMs, unit: 'ms', most: 50 },
  ];
}
