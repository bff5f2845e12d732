import { userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openEchoSession } from '../cluster/echo-session.ts';
import { createFarNetwork, type FarNetwork } from '../harness/far-network.ts';
import { type Ran, run, until } from '../harness/run-program.ts';
import type { Reloadable } from '../restart/reloadable.ts';
import { type TurnBalancer, turnBalancer } from './turn-balancer.ts';
import { type Front, startTunnelPair, type TunnelFleet } from './tunnel-fleet.ts';

/* A node behind NAT whose link loses everything for a while, beside another node that it must not hold up. */

let fleet: TunnelFleet;
let one: Front;
let network: FarNetwork;
let balancer: TurnBalancer;
let node: Reloadable;

beforeAll(async () => {
  ({ fleet, one } = await startTunnelPair());
  network = await createFarNetwork({ delayMs: 40, lossPercent: 1 });
  balancer = await turnBalancer([one.ports.web], network.here);
  const place = `proxy_server: ${network.here}:${balancer.port}`;
  node = await fleet.addNode('away', { place, within: network.within });
}, 120_000);
afterAll(async () => {
  network.stall('go');
  await fleet.close();
  await balancer.close();
  await network.close();
});

const enter = (name: string): Promise<Ran> =>
  one.people.tsh('alice', ['ssh', `${userInfo().username}@${name}`, 'echo in']);
const isReached = (): Promise<true> =>
  until('the node to be reached', async () => ((await enter('away')).stdout === 'in\n' ? true : undefined));
const hangs = async (): Promise<boolean> => {
  const [program, ...args] = [
    ...network.within,
    'curl',
    '-sS',
    `http://${node.machine.diagAddress()}/metrics`,
  ];
  return /^node_tunnels\{[^}]*\} 1$/m.test((await run(program, args)).stdout);
};
const held = async (): Promise<number> => {
  const page = await (await fetch(`http://${one.proxy.machine.diagAddress()}/metrics`)).text();
  return Number(/^proxy_tunnels (\d+)$/m.exec(page)?.[1]);
};

describe('a link that stalls', () => {
  it('for a few seconds ends nothing', async () => {
    await isReached();
    const session = openEchoSession(one.people, 'alice', 'away');
    await session.echo('before');
    network.stall('stall');
    const echo = session.echo('meanwhile');
    for (let n = 0; n < 5; n++) expect((await enter('far1')).stdout).toBe('in\n');
    network.stall('go');
    await echo;
    session.close();
  });

  it('for longer is given up on both ends within 15 s, holds up no other node, and comes back', async () => {
    network.stall('stall');
    const began = performance.now();
    await until('the proxy to give it up', async () => ((await held()) === 1 ? true : undefined), 30_000);
    await until('the node to give it up', async () => ((await hangs()) ? undefined : true), 30_000);
    // Asked again and again; a sign of life may have gone out a moment before.
    expect(performance.now() - began).toBeLessThan(17_000);
    expect((await enter('far1')).stdout).toBe('in\n');
    network.stall('go');
    await isReached();
  });
});
