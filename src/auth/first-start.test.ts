import { describe, expect, it } from 'vitest';
import { fakeWorld } from '../api/testing.ts';
import { CodedError } from '../base/errors.ts';
import { memoryLog } from '../log/memory-log.ts';
import { readClusterStatus } from './cluster/read-cluster-status.ts';
import { issueHostIdentity } from './host/issue-host-identity.ts';
import { adminCall, eventsOf, openTestAuth } from './testing.ts';

describe('the first start', () => {
  it('makes cluster, authorities and roles in one append, sealed', async () => {
    const auth = await openTestAuth();
    const events = await eventsOf(auth.log, 'state');
    expect(events.map((one) => one.fact.type).sort()).toEqual([
      'authority.created',
      'authority.created',
      'cluster.created',
      'configuration.adopted',
      'configuration.declared',
      'role.created',
      'role.created',
      'role.created',
      'role.created',
    ]);
    expect(new Set(events.map((one) => one.cause.requestId)).size).toBe(1);
    expect(JSON.stringify(events)).not.toContain('PRIVATE KEY');
    expect((await readClusterStatus(auth.deps, adminCall, {})).caPins).toEqual([
      expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    ]);
    await auth.close();
  });

  it('of two at once makes one set, and both sign with it', async () => {
    const world = fakeWorld();
    const log = memoryLog({ world });
    const both = await Promise.all([openTestAuth({ log, world }), openTestAuth({ log, world })]);
    expect(
      (await eventsOf(log, 'state')).filter((one) => one.fact.type === 'authority.created'),
    ).toHaveLength(2);
    const [a, b] = await Promise.all(both.map((auth) => readClusterStatus(auth.deps, adminCall, {})));
    expect(a?.caPins).toEqual(b?.caPins);
    for (const auth of both) await auth.close();
  });
});

describe('a start on an empty store while a named auth server serves a cluster', () => {
  const served = { servedBy: () => Promise.resolve('10.0.0.1:3025') };

  it('is refused, with both, and makes nothing', async () => {
    const log = memoryLog({ world: fakeWorld() });
    await expect(openTestAuth({ log, ...served })).rejects.toMatchObject({
      code: 'misconfigured',
      message: expect.stringMatching(
        /holds no cluster \(memory.*10\.0\.0\.1:3025 of teleport\.auth_servers/,
      ) as string,
    });
    expect(await log.state.head()).toBe(0);
  });

  it('goes on when that server has just made it there', async () => {
    const world = fakeWorld();
    const log = memoryLog({ world });
    const servedBy = async (): Promise<string> => {
      await (await openTestAuth({ log, world })).close();
      return '10.0.0.1:3025';
    };
    const second = await openTestAuth({ log, world, servedBy });
    expect((await eventsOf(log, 'state')).filter((one) => one.fact.type === 'cluster.created')).toHaveLength(
      1,
    );
    await second.close();
  });

  it('is not asked about when the store has one', async () => {
    const first = await openTestAuth();
    await first.close();
    await (await openTestAuth({ log: first.log, world: first.world, ...served })).close();
  });
});

describe('the status of the cluster', () => {
  it('is what was known before while the store is away, and says so', async () => {
    const auth = await openTestAuth();
    const away = {
      ...auth.deps.views,
      fresh: () => Promise.reject(new CodedError('unavailable', 'the store did not say')),
    };
    expect(await readClusterStatus({ ...auth.deps, views: away }, adminCall, {})).toMatchObject({
      clusterName: 'example',
      trouble: 'the store did not say: this is what was known before',
    });
    await auth.close();
  });
});

describe('a later start', () => {
  it('writes nothing when nothing changed', async () => {
    const first = await openTestAuth();
    await first.close();
    const before = await first.log.state.head();
    const second = await openTestAuth({ log: first.log, world: first.world });
    expect(await first.log.state.head()).toBe(before);
    await second.close();
  });

  it('with another cluster_name is refused, with both, and changes nothing', async () => {
    const first = await openTestAuth();
    await first.close();
    const before = await first.log.state.head();
    await expect(
      openTestAuth({ log: first.log, world: first.world, clusterName: 'other', secondFactor: 'off' }),
    ).rejects.toMatchObject({
      code: 'misconfigured',
      message: expect.stringMatching(/"example".*"other"/) as string,
    });
    expect(await first.log.state.head()).toBe(before);
  });

  it('without a cluster_name keeps the one there is', async () => {
    const first = await openTestAuth();
    await first.close();
    const options = { log: first.log, world: first.world, clusterName: 'host-7', nameIsDefault: true };
    const second = await openTestAuth(options);
    expect((await readClusterStatus(second.deps, adminCall, {})).clusterName).toBe('example');
    await second.close();
  });

  it('takes the second factor of the file', async () => {
    const first = await openTestAuth();
    await first.close();
    const second = await openTestAuth({ log: first.log, world: first.world, secondFactor: 'off' });
    expect((await eventsOf(first.log, 'state')).at(-1)?.fact).toMatchObject({
      type: 'cluster.configured',
      data: { secondFactor: 'off' },
    });
    await second.close();
  });

  it('signs with the keys of the first', async () => {
    const first = await openTestAuth();
    const host = { hostId: '00000000-0000-4000-8000-000000000001', nodename: 'n', additionalPrincipals: [] };
    const before = await issueHostIdentity(first.deps, { ...host, role: 'Node' });
    await first.close();
    const second = await openTestAuth({ log: first.log, world: first.world });
    const after = await issueHostIdentity(second.deps, { ...host, role: 'Proxy' });
    expect(after.sshHostCas).toEqual(before.sshHostCas);
    expect(after.tlsCasPem).toEqual(before.tlsCasPem);
    await expect(
      issueHostIdentity(second.deps, { ...host, hostId: 'x', role: 'Node' }),
    ).rejects.toMatchObject({
      code: 'bad_request',
    });
    await second.close();
  });
});
