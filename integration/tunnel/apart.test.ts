import { userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFirstUser } from '../harness/people.ts';
import { until } from '../harness/run-program.ts';
import type { Reloadable } from '../restart/reloadable.ts';
import { type Front, hangingOn, startTunnelFleet, type TunnelFleet } from './tunnel-fleet.ts';

const login = userInfo().username;
let fleet: TunnelFleet;
let one: Front;
let two: Front;
let node: Reloadable;

/** The auth server again, with another strategy in its file. */
async function withStrategy(text: string): Promise<void> {
  const { auth } = fleet.cluster;
  await auth.stop();
  auth.configure(
    fleet.cluster.authYaml().replace('auth_service:\n', `auth_service:\n  tunnel_strategy: ${text}\n`),
  );
  await auth.start();
}

beforeAll(async () => {
  fleet = await startTunnelFleet(2);
  const [first, second] = fleet.fronts;
  if (first === undefined || second === undefined) throw new Error('two proxies');
  [one, two] = [first, second];
  await withStrategy('{type: proxy_peering, agent_connection_count: 1}');
  await createFirstUser(two.people, 'alice', { logins: [login] });
  node = await fleet.addNode('far1', { place: `proxy_server: 127.0.0.1:${one.ports.web}` });
});
afterAll(async () => {
  await fleet.close();
});

describe('how many proxies a node hangs on', () => {
  it('is what the auth server says: one, which the other proxy forwards to', async () => {
    await hangingOn(fleet, node, [one]);
    const ran = await two.people.tsh('alice', ['ssh', `${login}@far1`, 'echo', 'by', 'peer']);
    expect(ran).toMatchObject({ code: 0, stdout: 'by peer\n' });
    expect(await fleet.hangsOn(node.machine)).toEqual(new Set([one.hostId()]));
  });

  it('is all of them where the auth server says so, without a restart of anything else', async () => {
    await withStrategy('{type: agent_mesh}');
    await hangingOn(fleet, node, [one, two]);
    await withStrategy('{type: proxy_peering, agent_connection_count: 1}');
    await until('the node to hang on one proxy', async () =>
      (await fleet.hangsOn(node.machine)).size === 1 ? true : undefined,
    );
  });

  it('is all of them while proxies do not reach each other, which is reported', async () => {
    // Where they say that they are, nobody answers.
    for (const front of [one, two]) {
      const { machine } = front.proxy;
      await machine.stop();
      machine.configure(
        fleet
          .yamlOf(front)
          .replace('data_dir:', 'advertise_ip: 127.0.0.9\n  data_dir:')
          .replace(/^ {2}public_addr/m, '  peer_public_addr: localhost:1\n  public_addr'),
      );
      await machine.start({ args: front.proxy.args });
    }
    const body = await until('the other proxy to report it', async () => {
      const ready = await one.proxy.machine.readyz('strict');
      return ready?.body.includes('does not reach 1 other proxy') === true ? ready.body : undefined;
    });
    expect(body).toContain(two.hostId());
    expect(body).toContain('Open proxy_service.peer_listen_addr between proxies');
    expect((await one.proxy.machine.readyz())?.code).toBe(200);
    const free = await fleet.addNode('far2');
    await hangingOn(fleet, free, [one, two]);
  });
});

describe('settings of tunnels', () => {
  it.each([
    ['{type: agent_mesh, agent_connection_count: 2}', 'agent_connection_count'],
    ['{type: mesh}', 'proxy_peering or agent_mesh'],
    ['{agent_connection_count: 0}', 'agent_connection_count'],
  ])('are refused with their place: %s', async (text, named) => {
    const strange = await fleet.cluster.fleet.add('strange');
    strange.configure(
      fleet.cluster
        .authYaml(strange.dataDir)
        .replace('auth_service:\n', `auth_service:\n  tunnel_strategy: ${text}\n`),
    );
    strange.spawn();
    const error = await strange.says(/tunnel_strategy/);
    expect(error).toContain(named);
    expect(error).toMatch(/line \d+|:\d+/);
  });
});
