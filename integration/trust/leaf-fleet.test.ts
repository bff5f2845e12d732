import { userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openEchoSession } from '../cluster/echo-session.ts';
import { gone } from '../harness/daemon.ts';
import { createFirstUser, logIn } from '../harness/people.ts';
import { type Ran, until } from '../harness/run-program.ts';
import type { Reloadable } from '../restart/reloadable.ts';
import { type Front, startTunnelFleet, type TunnelFleet } from '../tunnel/tunnel-fleet.ts';
import { hangsOnRoot, startLeafBox } from './leaf-box.ts';

/* A root of two proxies behind a balancer, and a leaf of one machine that knows the balancer alone. */

const login = userInfo().username;
let fleet: TunnelFleet;
let one: Front;
let two: Front;
let leaf: Reloadable;

const strategy = async (lines: string): Promise<void> => {
  const { auth } = fleet.cluster;
  await auth.stop();
  auth.configure(fleet.cluster.authYaml().replace('auth_service:\n', `auth_service:\n${lines}`));
  await auth.start();
};

beforeAll(async () => {
  fleet = await startTunnelFleet(2);
  [one, two] = fleet.fronts as [Front, Front];
  await strategy('  tunnel_strategy: {type: proxy_peering, agent_connection_count: 1}\n');
  await createFirstUser(one.people, 'alice', { logins: [login] });
  const box = await startLeafBox(fleet.cluster.fleet);
  ({ leaf } = box);
  await box.trust({ people: one.people, name: 'example', port: fleet.balancer.port });
}, 180_000);
afterAll(async () => {
  await leaf.end();
  await fleet.close();
});

const enterBy = ({ people }: Front): Promise<Ran> =>
  people.tsh('alice', ['ssh', '--cluster=leaf', `${login}@leaf-node`, 'echo in']);
/** In milliseconds: most of it is the client's own, which a busy machine slows. */
const timeToEnter = async (front: Front): Promise<number> => {
  const began = performance.now();
  expect((await enterBy(front)).stdout).toBe('in\n');
  return performance.now() - began;
};
const isIn = (front: Front): Promise<true> =>
  until(`alice to be let in by ${front.proxy.machine.name}`, async () =>
    (await enterBy(front)).stdout === 'in\n' ? true : undefined,
  );
const session = ({ people }: Front) => openEchoSession(people, 'alice', 'leaf-node', ['--cluster=leaf']);

const hangsOn = (): Promise<readonly string[]> => hangsOnRoot(leaf.machine, 'example');
const hanging = (...fronts: readonly Front[]): Promise<true> =>
  until(`the leaf to hang on ${fronts.length} proxies`, async () => {
    const wanted = fronts.map(({ hostId }) => hostId()).sort();
    return (await hangsOn()).join() === wanted.join() ? true : undefined;
  });

describe('a leaf, and a root of two proxies', () => {
  it('is reached through the proxy on which it does not hang', async () => {
    await until('the leaf to hang on one', async () => ((await hangsOn()).length === 1 ? true : undefined));
    await logIn(two.people, 'alice');
    for (const front of [one, two]) {
      await isIn(front);
      const clusters = await front.people.tsh('alice', ['clusters']);
      expect(clusters.stdout).toMatch(/^leaf +online $/m);
      expect((await front.people.tsh('alice', ['ls', '--cluster=leaf'])).stdout).toMatch(/^leaf-node /m);
    }
  });

  it('hangs on as many proxies as the root says, and is reached within 2 s when one is killed', async () => {
    await strategy('');
    await hanging(one, two);
    const usually = await timeToEnter(two);
    await one.proxy.machine.stop('SIGKILL');
    try {
      expect((await timeToEnter(two)) - usually).toBeLessThan(2_000);
    } finally {
      await one.proxy.machine.start({ args: one.proxy.args });
    }
    await hanging(one, two);
  });

  it('loses no session when the proxies of the root are reloaded, one after the other', async () => {
    const open = [one, two].map(session);
    for (const each of open) await each.echo('before');
    for (const front of [one, two]) {
      await front.proxy.reload();
      for (const by of [one, two]) expect((await enterBy(by)).stdout).toBe('in\n');
      for (const each of open) await each.echo(`after ${front.proxy.machine.name}`);
    }
    for (const each of open) each.close();
    await hanging(one, two);
  });

  it('loses no session when it is reloaded itself', async () => {
    const open = session(one);
    await open.echo('before');
    const { from } = await leaf.reload();
    for (const by of [one, two]) await isIn(by);
    await open.echo('after');
    open.close();
    await gone(from);
    await hanging(one, two);
  });

  it('is reached while the auth server of the root is away', async () => {
    await fleet.cluster.auth.stop();
    for (const by of [one, two]) expect((await enterBy(by)).stdout).toBe('in\n');
    await fleet.cluster.auth.start();
  });
});
