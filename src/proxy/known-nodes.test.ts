import { describe, expect, it } from 'vitest';
import type { Certificate } from '../pki/ssh-certificate.ts';
import { project } from '../views/testing.ts';
import { hostsView } from '../views/hosts.ts';
import { presenceViewBy } from '../views/presence.ts';
import { requestsView } from '../views/requests.ts';
import { rolesView } from '../views/roles.ts';
import { usersView } from '../views/users.ts';
import type { View } from '../views/view.ts';
import { knownNodesOf } from './known-nodes.ts';
import { hostRecordOf } from '../domain/host-info.ts';
import { nodeInfo } from './testing.ts';

const id = (n: number): string => `00000000-0000-4000-8000-00000000000${n}`;
const viewOf = <S>(state: S): View<S> => ({ state: () => state }) as View<S>;
const joined = (n: number, name: string, env: string) =>
  [
    `host-${id(n)}`,
    {
      type: 'host.joined',
      data: { host: { ...hostRecordOf(nodeInfo(id(n), name, `10.0.0.${n}:3022`)), labels: { env } } },
    },
  ] as const;
const user = (name: string, roles: string[]) =>
  [
    `user-${name}`,
    { type: 'user.created', data: { username: name, roles, traits: { logins: ['root'] } } },
  ] as const;
const specOf = (name: string, env: string) => ({
  name,
  options: { maxSessionTtlSeconds: 3600, forwardAgent: false, portForwarding: true },
  allow: { logins: ['root'], nodeLabels: { env: [env] } },
  deny: { logins: [], nodeLabels: {} },
});
const role = (name: string, env: string) =>
  [`role-${name}`, { type: 'role.created', data: { role: specOf(name, env) } }] as const;

const presence = presenceViewBy({ now: () => '2026-01-01T00:00:00.000Z', monotonic: () => 0 });
const views = {
  hosts: viewOf(
    project(hostsView, [joined(1, 'web', 'test'), joined(2, 'db', 'live'), joined(3, 'app', 'test')]),
  ),
  presence: viewOf(
    project(presence, [
      [
        'presence-hosts',
        {
          type: 'hosts.renewed',
          data: {
            hosts: [1, 2, 3].map((n) => ({
              ...{ hostId: id(n), role: 'Node', seenAt: '2026-01-01T00:00:00.000Z', ttlSeconds: 600 },
            })),
          },
        },
      ],
    ]),
  ),
  users: viewOf(project(usersView, [user('joe', ['tester']), user('amy', ['gone'])])),
  roles: viewOf(project(rolesView, [role('tester', 'test')])),
  requests: viewOf(requestsView.initial),
};
const world = { now: () => '2026-01-01T00:00:00.000Z' };
const of = (keyId: string, ageMs = 1_499.6, leftSeconds = 1) =>
  knownNodesOf(
    views,
    () => ageMs,
    world,
  )({
    ...{ kind: 'user', keyId, principals: [], extensions: new Map() },
    validBefore: BigInt(Date.parse(world.now()) / 1000 + leftSeconds),
  } as unknown as Certificate);

describe('the nodes that a proxy tells of by itself', () => {
  it('are those that the roles of the user admit, by name', async () => {
    const { hosts, ageMs } = await of('joe');
    expect(hosts.map(({ nodename }) => nodename)).toEqual(['app', 'web']);
    expect(ageMs).toBe(1_500);
  });

  it('are told to nobody whose roles are not known, or who is no user', async () => {
    await expect(of('amy')).rejects.toMatchObject({ code: 'unavailable' });
    await expect(of('eve')).rejects.toMatchObject({ code: 'access_denied' });
  });

  it('are not told on a connection whose certificate has expired since', async () => {
    await expect(of('joe', 0, 0)).rejects.toMatchObject({ code: 'access_denied' });
  });

  it('say that nobody knows how old they are before auth has told', async () => {
    expect((await of('joe', Infinity)).ageMs).toBeNull();
  });
});
