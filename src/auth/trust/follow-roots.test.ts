import { afterEach, describe, expect, it } from 'vitest';
import { CodedError } from '../../base/errors.ts';
import type { RotationPhase } from '../../domain/rotation.ts';
import { trustedOf } from '../../views/authorities.ts';
import { findRemote } from '../../views/remote-clusters.ts';
import { findTrusted } from '../../views/trusted-clusters.ts';
import { rotateAuthorities } from '../authority/rotate-authorities.ts';
import { deleteResource } from '../resource/delete-resource.ts';
import { updateResource } from '../resource/update-resource.ts';
import { adminCall, callOf, type TestAuth } from '../testing.ts';
import { type FollowingRoots, followRoots } from './follow-roots.ts';
import { followTrust } from './follow-trust.ts';
import { asking, documentFor, openCluster, tokenOf, trust } from './trust-testing.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
async function open(...args: Parameters<typeof openCluster>): Promise<TestAuth> {
  const one = await openCluster(...args);
  closers.push(() => one.close());
  return one;
}

interface Pair {
  readonly root: TestAuth;
  readonly leaf: TestAuth;
  readonly following: FollowingRoots;
  /** A minute passes, and the leaf asks. */
  readonly next: () => Promise<void>;
  isAway: boolean;
}
async function pair(): Promise<Pair> {
  const root = await open('root');
  let made: Pair | undefined = undefined as Pair | undefined;
  const through = asking({
    root: () => {
      if (made?.isAway === true) throw new CodedError('unavailable', 'away');
      return root;
    },
  });
  const leaf = await open('leaf', through);
  await trust(leaf, 'root', root);
  const following = followRoots(leaf.deps);
  closers.push(() => following.close());
  made = {
    ...{ root, leaf, following, isAway: false },
    next: async () => {
      leaf.world.advance(90_000);
      await following.run();
    },
  };
  return made;
}
const take = ({ deps }: TestAuth, phase: RotationPhase, types: ('user' | 'host')[], more: object = {}) =>
  rotateAuthorities(deps, adminCall, {
    ...{ types, phase, mode: 'manual', gracePeriodMs: 3_600_000, force: true },
    ...{ dryRun: false, endSessions: false, ...more },
  });
const rest = async (auth: TestAuth, types: ('user' | 'host')[]): Promise<void> => {
  for (const phase of ['update_clients', 'update_servers', 'standby'] as const)
    await take(auth, phase, types);
};
const lines = (keys: readonly { readonly sshPublicKey: string }[] = []): readonly string[] =>
  keys.map(({ sshPublicKey }) => sshPublicKey).sort();
const ownOf = ({ deps }: TestAuth, type: 'user' | 'host'): readonly string[] =>
  lines(trustedOf(deps.views.authorities.state(), type));
const knownOf = ({ deps }: TestAuth, type: 'user' | 'host') =>
  findTrusted(deps.views.trustedClusters.state(), 'root')?.[type];
const leafOf = ({ deps }: TestAuth) => findRemote(deps.views.remoteClusters.state(), 'leaf')?.host;

describe('the keys of a trusted cluster', () => {
  it('are followed through a rotation of both authorities', async () => {
    const { root, leaf, next } = await pair();
    const before = ownOf(root, 'user');
    await take(root, 'init', ['user', 'host']);
    await next();
    for (const type of ['user', 'host'] as const) {
      expect(ownOf(root, type)).toHaveLength(2);
      expect(lines(knownOf(leaf, type)?.keys)).toEqual(ownOf(root, type));
    }
    await rest(root, ['user', 'host']);
    await next();
    for (const type of ['user', 'host'] as const) {
      expect(ownOf(root, type)).toHaveLength(1);
      expect(lines(knownOf(leaf, type)?.keys)).toEqual(ownOf(root, type));
    }
    expect(lines(knownOf(leaf, 'user')?.letStay)).toEqual(before);
  });
  it('are followed later by a leaf that was away, as long as it knows one of them', async () => {
    const all = await pair();
    const { root, leaf, next } = all;
    await take(root, 'init', ['user']);
    await next();
    all.isAway = true;
    await rest(root, ['user']);
    await next();
    expect(leaf.sink.lines.filter((line) => line.includes('cannot be followed'))).toHaveLength(1);
    all.isAway = false;
    leaf.world.advance(600_000);
    await next();
    expect(lines(knownOf(leaf, 'user')?.keys)).toEqual(ownOf(root, 'user'));
  });
  it('that were replaced at once are not believed, until an operator exchanges them', async () => {
    const { root, leaf, next } = await pair();
    const before = lines(knownOf(leaf, 'user')?.keys);
    await take(root, 'init', ['user'], { gracePeriodMs: 0 });
    await next();
    expect(lines(knownOf(leaf, 'user')?.keys)).toEqual(before);
    expect(leaf.sink.lines.join('\n')).toContain('no key that is known has signed the statement');
    const document = documentFor('root', { token: await tokenOf(root) });
    await updateResource(leaf.deps, adminCall, { document, dryRun: false });
    expect(lines(knownOf(leaf, 'user')?.keys)).toEqual(ownOf(root, 'user'));
    expect(knownOf(leaf, 'user')?.letStay).toEqual([]);
  });
  it('cannot be announced by another cluster, nor go back to what they were', async () => {
    const { root, leaf, next } = await pair();
    await take(root, 'init', ['user']);
    await next();
    const announced = root.deps.views.authorities.state().user.state;
    const old = announced.status === 'created' ? announced.announcement : undefined;
    await rest(root, ['user']);
    await next();
    const now = lines(knownOf(leaf, 'user')?.keys);
    expect(now).toEqual(ownOf(root, 'user'));
    const stale = followRoots({
      ...leaf.deps,
      otherClusters: {
        ...leaf.deps.otherClusters,
        follow: () => Promise.resolve({ clusterName: 'root', ...(old === undefined ? {} : { user: old }) }),
      },
    });
    closers.push(() => stale.close());
    await stale.run();
    expect(lines(knownOf(leaf, 'user')?.keys)).toEqual(now);
    expect(leaf.sink.lines.join('\n')).toContain('it is older');
  });
});

describe('the keys of a leaf', () => {
  it('are announced to the root when it follows', async () => {
    const { root, leaf, next } = await pair();
    await take(leaf, 'init', ['host']);
    await next();
    expect(lines(leafOf(root)?.keys)).toEqual(ownOf(leaf, 'host'));
    await rest(leaf, ['host']);
    await next();
    expect(ownOf(leaf, 'host')).toHaveLength(1);
    expect(lines(leafOf(root)?.keys)).toEqual(ownOf(leaf, 'host'));
  });
  it('are not changed by anybody else, and the answer says nothing of it', async () => {
    const { root, leaf } = await pair();
    const before = leafOf(root);
    const other = await open('leaf');
    await take(other, 'init', ['host']);
    const { state } = other.deps.views.authorities.state().host;
    const host = state.status === 'created' ? state.announcement : undefined;
    const stranger = callOf({ kind: 'anyone', address: '192.0.2.66:1' });
    const ask = (clusterName: string) =>
      followTrust(root.deps, stranger, { clusterName, ...(host === undefined ? {} : { host }) });
    expect(await ask('leaf')).toEqual(await ask('nobody'));
    expect(leafOf(root)).toEqual(before);
    await deleteResource(root.deps, adminCall, { kind: 'remote_cluster', name: 'leaf', dryRun: false });
    await take(leaf, 'init', ['host']);
    const again = followRoots(leaf.deps);
    closers.push(() => again.close());
    await again.run();
    expect(leafOf(root)).toBeUndefined();
  });
});
