import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Cluster } from '../harness/cluster.ts';
import { createFirstUser } from '../harness/people.ts';
import { clusterNamed, login, trustRoot } from './trusting.ts';

/* `top` is trusted by `mid` and by `side`, and `mid` by `low`. */

let clusters: Record<'top' | 'mid' | 'low' | 'side', Cluster>;
beforeAll(async () => {
  const [top, mid, low, side] = await Promise.all([
    clusterNamed('top'),
    clusterNamed('mid'),
    clusterNamed('low'),
    clusterNamed('side'),
  ]);
  clusters = { top, mid, low, side };
  await createFirstUser(top, 'alice', { logins: [login] });
  await createFirstUser(mid, 'bob', { logins: [login] });
  await trustRoot(mid, top, { root: 'top', leaf: 'mid' });
  await trustRoot(side, top, { root: 'top', leaf: 'side' });
  await trustRoot(low, mid, { root: 'mid', leaf: 'low' });
}, 240_000);
afterAll(() => Promise.all(Object.values(clusters).map((one) => one.close())));

const enters = async (
  person: 'alice' | 'bob',
  at: 'top' | 'mid',
  cluster: string,
  node = `${cluster}-node`,
): Promise<string> => {
  const ran = await clusters[at].tsh(person, [
    ...['ssh', `--cluster=${cluster}`, `${login}@${node}`, 'echo $SSH_TELEPORT_USER'],
  ]);
  return ran.code === 0 ? ran.stdout.trim() : ran.stderr;
};

describe('three clusters', () => {
  it('let in those of the one that each of them trusts', async () => {
    expect(await enters('alice', 'top', 'mid')).toBe('top/alice');
    expect(await enters('alice', 'top', 'side')).toBe('top/alice');
    expect(await enters('bob', 'mid', 'low')).toBe('mid/bob');
    expect((await clusters.top.tsh('alice', ['clusters'])).stdout).toMatch(
      /^mid +online $[^]*^side +online $/m,
    );
  });

  it('let nobody go on from there: trust ends with those who gave it', async () => {
    expect((await clusters.top.tsh('alice', ['clusters'])).stdout).not.toContain('low');
    expect(await enters('alice', 'top', 'low')).toContain('unknown cluster "low"');
    expect(await enters('alice', 'top', 'mid', 'low-node.low')).toContain(
      'no node of this cluster is called low-node.low',
    );
    expect(await enters('alice', 'top', 'mid', 'side-node')).toContain(
      'no node of this cluster is called side-node',
    );
    expect(await enters('bob', 'mid', 'top')).toContain('unknown cluster "top"');
  });
});
