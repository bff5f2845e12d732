import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gone } from '../harness/daemon.ts';
import { createFirstUser, logIn, type PeopleCluster } from '../harness/people.ts';
import { openEchoSession } from '../cluster/echo-session.ts';
import { command, failuresOf, startClients, tallyLines } from '../restart/restart-load.ts';
import type { Reloadable } from '../restart/reloadable.ts';
import { type Front, hangingOn, startTunnelFleet, type TunnelFleet } from './tunnel-fleet.ts';

const login = userInfo().username;
/** Of reloads: of each proxy, and of the node. */
const rounds = Number(process.env['TUNNEL_ROUNDS'] ?? 2);
let fleet: TunnelFleet;
let one: Front;
let two: Front;
let node: Reloadable;

const ssh = (people: PeopleCluster, name: string, ...words: string[]) =>
  people.tsh('alice', ['ssh', `${login}@${name}`, ...words]);

beforeAll(async () => {
  fleet = await startTunnelFleet(2);
  const [first, second] = fleet.fronts;
  if (first === undefined || second === undefined) throw new Error('two proxies');
  [one, two] = [first, second];
  await createFirstUser(one.people, 'alice', { logins: [login] });
});
afterAll(async () => {
  await fleet.close();
});

describe('a fleet of proxies behind a balancer', () => {
  it('holds a node at two of them, whichever the balancer leads to', async () => {
    node = await fleet.addNode('far1');
    await hangingOn(fleet, node, [one, two]);
    fleet.balancer.lead(one.ports.web);
    const stuck = await fleet.addNode('far2');
    await hangingOn(fleet, stuck, [one, two]);
    fleet.balancer.lead('turns');
    await stuck.end();
  });

  it('leads to it from each of them', async () => {
    for (const { people } of [one, two]) {
      await logIn(people, 'alice');
      expect(await ssh(people, 'far1', 'echo', 'here')).toMatchObject({ code: 0, stdout: 'here\n' });
    }
  });

  it('forwards to the proxy that holds a node, over the port for proxies', async () => {
    const lonely = await fleet.addNode('far3', {
      place: `proxy_server: 127.0.0.1:${one.ports.web}`,
      services: 'ssh_service: {labels: {place: lonely}}',
    });
    // Its only way to the other proxy is cut as it asks for it.
    expect(await ssh(two.people, 'far3', 'echo', 'by', 'peer')).toMatchObject({
      code: 0,
      stdout: 'by peer\n',
    });
    await lonely.end();
  });

  it(
    'goes on without a proxy that dies: no command fails, and the node hangs on another again when it is back',
    { timeout: 120_000 },
    async () => {
      const env = two.people.env('alice');
      const load = startClients({
        'ssh through the other proxy': command(
          join('bin', 'tsh'),
          ['ssh', `${login}@far1`, 'echo', 'well'],
          env,
          'well',
        ),
      });
      const session = openEchoSession(two.people, 'alice', 'far1');
      await session.echo('before');
      const first = one.proxy.main();
      one.proxy.machine.signal('SIGKILL');
      if (first !== undefined) await gone(first);
      await hangingOn(fleet, node, [two]);
      await session.echo('after');
      expect(await ssh(two.people, 'far1', 'echo', 'still')).toMatchObject({ code: 0, stdout: 'still\n' });
      await one.proxy.machine.start({ args: one.proxy.args });
      await hangingOn(fleet, node, [one, two]);
      await session.echo('again');
      session.close();
      await load.stop();
      console.log(tallyLines(load));
      expect(failuresOf(load)).toEqual([]);
    },
  );

  it(
    `loses nothing over ${3 * rounds} reloads of proxies and of the node under load`,
    { timeout: rounds * 120_000 },
    async () => {
      const clients = Object.fromEntries(
        [one, two].map(({ people }, i) => [
          `ssh through proxy ${i + 1}`,
          command(join('bin', 'tsh'), ['ssh', `${login}@far1`, 'echo', 'well'], people.env('alice'), 'well'),
        ]),
      );
      const load = startClients(clients);
      const session = openEchoSession(one.people, 'alice', 'far1');
      await session.echo('start');
      const left = [];
      for (let i = 0; i < rounds; i++)
        for (const each of [one.proxy, two.proxy, node]) {
          left.push((await each.reload()).from);
          await session.echo(`round ${i}`);
        }
      session.close();
      await load.stop();
      console.log(tallyLines(load));
      expect(failuresOf(load)).toEqual([]);
      // Old processes end by themselves when the last session has.
      for (const old of left) await gone(old);
      await hangingOn(fleet, node, [one, two]);
    },
  );

  it('notices a link that has gone silent', { timeout: 90_000 }, async () => {
    const stopped = one.proxy.main();
    if (stopped === undefined) throw new Error('the proxy runs');
    process.kill(stopped.pid, 'SIGSTOP');
    const began = performance.now();
    try {
      await hangingOn(fleet, node, [two]);
      expect(performance.now() - began).toBeLessThan(16_000);
      expect(await ssh(two.people, 'far1', 'echo', 'past', 'it')).toMatchObject({
        code: 0,
        stdout: 'past it\n',
      });
    } finally {
      process.kill(stopped.pid, 'SIGCONT');
    }
    await hangingOn(fleet, node, [one, two]);
  });
});
