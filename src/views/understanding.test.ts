import { expect, it } from 'vitest';
import type { Fact, StreamName } from '../log/event.ts';
import { hostsView } from './hosts.ts';
import { presenceViewBy } from './presence.ts';
import { project } from './testing.ts';
import { oldestUnderstanding } from './understanding.ts';

const at = '2026-01-01T00:00:00.000Z';
const id = (n: number): string => `00000000-0000-4000-8000-00000000000${n}`;
const joined = (n: number, understands?: number): readonly [StreamName, Fact] => [
  `host-${id(n)}`,
  {
    type: 'host.joined',
    data: {
      host: {
        ...{ hostId: id(n), role: 'Node', nodename: `n${n}`, address: '', publicAddress: '' },
        ...{ sshPublicAddress: '', labels: {}, version: '4.5.0' },
        ...(understands === undefined ? {} : { understands }),
      },
    },
  },
];
const renewed = (...ns: number[]): readonly [StreamName, Fact] => [
  'presence-a',
  {
    type: 'hosts.renewed',
    data: { hosts: ns.map((n) => ({ hostId: id(n), role: 'Node', seenAt: at, ttlSeconds: 600 })) },
  },
];
const oldest = (alive: number[], ...hosts: (readonly [StreamName, Fact])[]): unknown => {
  const presence = project(presenceViewBy({ now: () => at, monotonic: () => 0 }), [renewed(...alive)]);
  const found = oldestUnderstanding(project(hostsView, hosts), presence, 1);
  return found && [found.level, found.hosts.map(({ nodename }) => nodename)];
};

it('the oldest understanding is that of whoever is alive', () => {
  expect(oldest([1, 2], joined(1, 2), joined(2, 1), joined(3))).toEqual([1, ['n2']]);
  expect(oldest([1, 3], joined(1, 2), joined(2, 1), joined(3))).toEqual([0, ['n3']]);
  expect(oldest([9], joined(1, 2))).toBe(undefined);
});
