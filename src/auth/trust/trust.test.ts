import { afterEach, describe, expect, it } from 'vitest';
import { trustedOf } from '../../views/authorities.ts';
import { adminRole } from '../../domain/preset-roles.ts';
import { remoteClusters } from '../../views/remote-clusters.ts';
import { findTrusted, trustedClusters } from '../../views/trusted-clusters.ts';
import { createResource } from '../resource/create-resource.ts';
import { deleteResource } from '../resource/delete-resource.ts';
import { listResources } from '../resource/list-resources.ts';
import { updateResource } from '../resource/update-resource.ts';
import { adminCall, callOf, eventsOf, type TestAuth, userCall } from '../testing.ts';
import { clusterOf } from '../lookups.ts';
import { createToken } from '../token/create-token.ts';
import { listTokens } from '../token/list-tokens.ts';
import { establishTrust } from './establish-trust.ts';
import { ownStatement } from './own-statement.ts';
import { asking, documentFor, openCluster, tokenOf, trust } from './trust-testing.ts';

const opened: TestAuth[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});
async function open(...args: Parameters<typeof openCluster>): Promise<TestAuth> {
  const one = await openCluster(...args);
  opened.push(one);
  return one;
}
async function pair(lose: () => boolean = () => false): Promise<{ root: TestAuth; leaf: TestAuth }> {
  const root = await open('root');
  const leaf = await open('leaf', asking({ root: () => root, other: () => root }, lose));
  return { root, leaf };
}
const leavesOf = ({ deps }: TestAuth): readonly string[] =>
  remoteClusters(deps.views.remoteClusters.state()).map(({ clusterName }) => clusterName);
const rootsOf = ({ deps }: TestAuth): readonly string[] =>
  trustedClusters(deps.views.trustedClusters.state()).map(({ clusterName }) => clusterName);
const stranger = callOf({ kind: 'anyone', address: '192.0.2.50:4711' });
const statementOf = ({ deps }: TestAuth) => ownStatement(deps, 'host');
const factsOf = async ({ log }: TestAuth): Promise<string[]> =>
  (await eventsOf(log, 'state'))
    .map(({ fact }) => fact.type)
    .filter((type) => /cluster\.|token\./.test(type));
const refusalsOf = async ({ log }: TestAuth): Promise<unknown[]> =>
  (await eventsOf(log, 'audit'))
    .map(({ fact }) => (fact.data as { event: object }).event)
    .filter((event) => 'error' in event);

describe('an exchange between two clusters', () => {
  it('gives the leaf the keys of the root, and the root those of the leaf', async () => {
    const { root, leaf } = await pair();
    const token = await tokenOf(root);
    const made = await trust(leaf, 'root', root, { token });
    expect(made).toMatchObject({ status: 'created', after: { metadata: { name: 'root' } } });
    expect(JSON.stringify(made)).not.toContain(token);
    expect(made.notices).toEqual([expect.stringContaining('WARNING: without spec.ca_pin')]);
    const known = findTrusted(leaf.deps.views.trustedClusters.state(), 'root');
    const linesOf = (keys: readonly { readonly sshPublicKey: string }[] = []): readonly string[] =>
      keys.map(({ sshPublicKey }) => sshPublicKey);
    const ownOf = ({ deps }: TestAuth, type: 'user' | 'host'): readonly string[] =>
      linesOf(trustedOf(deps.views.authorities.state(), type));
    expect(linesOf(known?.user.keys)).toEqual(ownOf(root, 'user'));
    expect(linesOf(known?.host.keys)).toEqual(ownOf(root, 'host'));
    const [remote] = remoteClusters(root.deps.views.remoteClusters.state());
    expect(linesOf(remote?.remote.host.keys)).toEqual(ownOf(leaf, 'host'));
    for (const { log } of [root, leaf])
      for (const partition of ['state', 'audit'] as const)
        expect(JSON.stringify(await eventsOf(log, partition))).not.toContain(token);
  });
  it('names the resource as that cluster calls itself', async () => {
    const { root, leaf } = await pair();
    const made = await trust(leaf, 'other', root);
    expect(made).toMatchObject({ after: { metadata: { name: 'root' } } });
    expect(made.notices).toContain('it is called "root" here, since that cluster calls itself so');
    expect(rootsOf(leaf)).toEqual(['root']);
  });
  it('is asked again with the same token when the answer is lost, and gives the same', async () => {
    let isLost = true;
    const { root, leaf } = await pair(() => isLost);
    const document = documentFor('root', { token: await tokenOf(root) });
    await expect(createResource(leaf.deps, adminCall, { document, dryRun: false })).rejects.toThrow('lost');
    expect([leavesOf(root), rootsOf(leaf)]).toEqual([['leaf'], []]);
    isLost = false;
    await createResource(leaf.deps, adminCall, { document, dryRun: false });
    expect([leavesOf(root), rootsOf(leaf)]).toEqual([['leaf'], ['root']]);
    expect(await factsOf(root)).toEqual([
      'cluster.created',
      'token.created',
      'token.used',
      'remote_cluster.admitted',
    ]);
  });
  it('does nothing in a dry run', async () => {
    const { root, leaf } = await pair();
    const document = documentFor('root', { token: await tokenOf(root) });
    const made = await createResource(leaf.deps, adminCall, { document, dryRun: true });
    expect(made.status).toBe('created');
    expect(JSON.stringify(made)).not.toContain('"token"');
    expect([leavesOf(root), rootsOf(leaf)]).toEqual([[], []]);
  });
});

describe('the root refuses', () => {
  const admit = async (root: TestAuth, more: object = {}, from?: TestAuth) =>
    establishTrust(root.deps, stranger, {
      token: await tokenOf(root),
      clusterName: 'leaf',
      host: await statementOf(from ?? (await open('leaf'))),
      ...more,
    });
  it('a token that is none, with one message', async () => {
    const { root } = await pair();
    const none = '"leaf" [leaf] can not join the cluster with role Trusted_cluster, the token is not valid';
    await expect(admit(root, { token: 'x' })).rejects.toThrow(none);
    // Whatever else is wrong.
    await expect(admit(root, { token: 'x', host: { text: '', signatures: [] } })).rejects.toThrow(none);
    expect(await refusalsOf(root)).toEqual([
      expect.objectContaining({ event: 'remote_cluster.create', code: 'T7100W', error: none }),
      expect.objectContaining({ code: 'T7100W' }),
    ]);
  });
  it('a token for machines', async () => {
    const { root } = await pair();
    const { token } = await createToken(root.deps, adminCall, { roles: ['Node'], ttlSeconds: 600 });
    await expect(admit(root, { token })).rejects.toThrow('does not allow "Trusted_cluster" role');
  });
  it('a token that another cluster has used, that has expired or was used and its cluster deleted', async () => {
    const { root, leaf } = await pair();
    const token = await tokenOf(root);
    await admit(root, { token }, leaf);
    await expect(admit(root, { token, clusterName: 'leaf2' }, await open('leaf2'))).rejects.toThrow(
      'used up',
    );
    await expect(admit(root, { token })).rejects.toThrow('used up');
    await deleteResource(root.deps, adminCall, { kind: 'remote_cluster', name: 'leaf', dryRun: false });
    await expect(admit(root, { token }, leaf)).rejects.toThrow('the cluster was deleted since');
    const late = await tokenOf(root);
    root.world.advance(601_000);
    await expect(admit(root, { token: late }, leaf)).rejects.toThrow('the token expired');
    expect(leavesOf(root)).toEqual([]);
  });
  it('its own name, a name that is none, and the name of a cluster with other keys', async () => {
    const { root, leaf } = await pair();
    const self = await open('root');
    await expect(admit(root, { clusterName: 'root' }, self)).rejects.toThrow('it cannot trust itself');
    await admit(root, {}, leaf);
    await expect(admit(root, {}, await open('leaf'))).rejects.toThrow('is known already, and has other keys');
    await expect(admit(root, { clusterName: 'other' }, leaf)).rejects.toThrow(
      'it is of the host authority of cluster leaf',
    );
    expect(leavesOf(root)).toEqual(['leaf']);
  });
  it('keys that are its own, or those of another cluster, and keys that have not signed', async () => {
    const { root, leaf } = await pair();
    const text = (name: string, statement: { text: string }): string =>
      statement.text.replace(/"clusterName":"\w+"/, `"clusterName":"${name}"`);
    const own = await statementOf(root);
    await expect(admit(root, { host: { ...own, text: text('leaf', own) } })).rejects.toThrow(
      'no key that is trusted here has signed',
    );
    const user = await ownStatement(leaf.deps, 'user');
    await expect(admit(root, { host: user })).rejects.toThrow('it is of the user authority');
    const [a, b] = [await statementOf(leaf), await statementOf(await open('leaf'))];
    const both = { ...(JSON.parse(a.text) as { keys: object[] }) };
    both.keys = [...both.keys, ...(JSON.parse(b.text) as { keys: object[] }).keys];
    await expect(
      admit(root, { host: { text: JSON.stringify(both), signatures: a.signatures } }),
    ).rejects.toThrow();
  });
  it('a key that another cluster has, whoever has its private half', async () => {
    const { root, leaf } = await pair();
    const named = ({ deps }: TestAuth, clusterName: string) => {
      const cluster = { ...deps.views.cluster, state: () => ({ ...clusterOf(deps.views), clusterName }) };
      return ownStatement({ ...deps, views: { ...deps.views, cluster } }, 'host');
    };
    const why = 'it states a key that another cluster has';
    await expect(admit(root, { host: await named(root, 'leaf') })).rejects.toThrow(why);
    await admit(root, {}, leaf);
    await expect(admit(root, { clusterName: 'leaf2', host: await named(leaf, 'leaf2') })).rejects.toThrow(
      why,
    );
    expect(leavesOf(root)).toEqual(['leaf']);
  });
  it.each(['ssh', 'tls'] as const)(
    'a statement that lacks the signature of the %s half of a key',
    async (half) => {
      const { root, leaf } = await pair();
      const whole = await statementOf(leaf);
      const host = { ...whole, signatures: whole.signatures.map((one) => ({ ...one, [half]: '' })) };
      await expect(admit(root, { host })).rejects.toThrow('no key that is trusted here has signed it');
      await admit(root, { host: whole });
    },
  );
  it('too many from one address', async () => {
    const { root } = await pair();
    const host = await statementOf(root);
    const many = await Promise.allSettled(
      Array.from({ length: 60 }, () =>
        establishTrust(root.deps, stranger, { token: 'x', clusterName: 'leaf', host }),
      ),
    );
    expect(
      many.some(
        (one) => one.status === 'rejected' && (one.reason as { code: string }).code === 'limit_exceeded',
      ),
    ).toBe(true);
  });
});

describe('the leaf refuses', () => {
  it('a document without a token, with an address or a map that is none, for somebody who may not give roles', async () => {
    const { root, leaf } = await pair();
    const make = (spec: object, call = adminCall) =>
      createResource(leaf.deps, call, { document: documentFor('root', spec), dryRun: false });
    await expect(make({})).rejects.toThrow('spec.token: that cluster agrees by a token of its own');
    const token = await tokenOf(root);
    await expect(make({ token, web_proxy_addr: 'a:b:c' })).rejects.toThrow('spec.web_proxy_addr:');
    await expect(make({ token, tunnel_addr: '12' })).rejects.toThrow('spec.tunnel_addr:');
    await expect(make({ token, role_map: [] })).rejects.toThrow('spec.role_map');
    await expect(make({ token, role_map: [{ remote: '^x', local: ['a'] }] })).rejects.toThrow(
      'spec.role_map[0]:',
    );
    await expect(make({ token, role_map: [{ remote: 'x', local: ['Node'] }] })).rejects.toThrow(
      'a role of machines',
    );
    await expect(make({ token, ca_pin: 'sha256:abc' })).rejects.toThrow('spec.ca_pin');
    const { caller } = userCall('eve', ['admin']);
    // It may write trusted clusters, and give nobody a role.
    const rules = { username: 'eve', roles: [adminRole], traits: {} };
    await expect(make({ token }, { ...callOf(caller), rules })).rejects.toThrow(
      'has to allow "update" on "user"',
    );
    expect([leavesOf(root), rootsOf(leaf)]).toEqual([[], []]);
  });
  it('a cluster of its own name, whose keys another has, or that is trusted already', async () => {
    const root = await open('root');
    const twin = await open('leaf');
    const leaf = await open('leaf', asking({ root: () => root, twin: () => twin }));
    await expect(trust(leaf, 'twin', twin)).rejects.toThrow('it cannot trust itself');
    await trust(leaf, 'root', root);
    await expect(trust(leaf, 'root', root)).rejects.toThrow('already exists');
  });
  it('statements that are not of the authority that it was connected to', async () => {
    const root = await open('root');
    const through = asking({ root: () => root });
    const leaf = await open('leaf', {
      ...through,
      establish: async (at, asked) => ({ ...(await through.establish(at, asked)), knownBy: [] }),
    });
    await expect(trust(leaf, 'root', root)).rejects.toThrow('not the one that it was known by');
    expect(rootsOf(leaf)).toEqual([]);
  });
});

describe('what operators see and change', () => {
  it('is disabled and enabled, and keeps its keys', async () => {
    const { root, leaf } = await pair();
    await trust(leaf, 'root', root);
    const before = findTrusted(leaf.deps.views.trustedClusters.state(), 'root');
    const put = (spec: object) =>
      updateResource(leaf.deps, adminCall, { document: documentFor('root', spec), dryRun: false });
    const tunnels = async () =>
      (await listResources(leaf.deps, adminCall, { kind: 'reverse_tunnel' })).documents;
    expect(await tunnels()).toMatchObject([{ spec: { cluster_name: 'root', dial_addrs: ['root:3024'] } }]);
    expect(await put({ enabled: false })).toMatchObject({ status: 'updated' });
    const after = findTrusted(leaf.deps.views.trustedClusters.state(), 'root');
    expect(after).toEqual({ ...before, enabled: false });
    expect(await tunnels()).toEqual([]);
    expect(await put({ enabled: true })).toMatchObject({ status: 'updated' });
    expect(await put({ enabled: true })).toMatchObject({ status: 'unchanged' });
  });
  it('exchanges its keys again by another token', async () => {
    const { root, leaf } = await pair();
    await trust(leaf, 'root', root);
    const document = documentFor('root', { token: await tokenOf(root) });
    expect(await updateResource(leaf.deps, adminCall, { document, dryRun: false })).toMatchObject({
      status: 'unchanged',
    });
    expect(await factsOf(root)).toContain('token.used');
    const used = (await listTokens(root.deps, adminCall, {})).tokens.map(({ usesLeft }) => usesLeft);
    expect(used).toEqual([0, 0]);
  });
  it('is removed on either side', async () => {
    const { root, leaf } = await pair();
    await trust(leaf, 'root', root);
    await deleteResource(leaf.deps, adminCall, { kind: 'trusted_cluster', name: 'root', dryRun: false });
    await deleteResource(root.deps, adminCall, { kind: 'remote_cluster', name: 'leaf', dryRun: false });
    expect([leavesOf(root), rootsOf(leaf)]).toEqual([[], []]);
    await expect(
      deleteResource(leaf.deps, adminCall, { kind: 'trusted_cluster', name: 'root', dryRun: false }),
    ).rejects.toThrow('not found');
    await trust(leaf, 'root', root);
    expect([leavesOf(root), rootsOf(leaf)]).toEqual([['leaf'], ['root']]);
  });
  it('is no tunnel and no remote cluster that somebody makes', async () => {
    const { root } = await pair();
    for (const [kind, version, rest] of [
      ['reverse_tunnel', 'v2', { spec: { cluster_name: 'x', dial_addrs: [] } }],
      ['remote_cluster', 'v3', { spec: { fingerprints: [] }, status: { connection: 'offline' } }],
    ] as const)
      await expect(
        createResource(root.deps, adminCall, {
          document: { kind, version, metadata: { name: 'x' }, ...rest },
          dryRun: false,
        }),
      ).rejects.toThrow('are not created by a file');
  });
});
