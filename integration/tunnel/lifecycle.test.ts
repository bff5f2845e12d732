import { userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openEchoSession } from '../cluster/echo-session.ts';
import { forgedHost, takeKeys } from '../cluster/taken-keys.ts';
import { gone } from '../harness/daemon.ts';
import { logIn } from '../harness/people.ts';
import { until } from '../harness/run-program.ts';
import type { Reloadable } from '../restart/reloadable.ts';
import { openRawLink } from './raw-link.ts';
import { type Front, hangingOn, startTunnelPair, type TunnelFleet } from './tunnel-fleet.ts';

/* A node that hangs on the only proxy, while it, the proxy, and auth end and come back, and keys change. */

const login = userInfo().username;
let fleet: TunnelFleet;
let one: Front;
let node: Reloadable;

beforeAll(async () => {
  ({ fleet, one, node } = await startTunnelPair());
});
afterAll(async () => {
  await fleet.close();
});

const answers = (): Promise<true> =>
  until('the node to be reached', async () =>
    (await one.people.tsh('alice', ['ssh', `${login}@far1`, 'echo', 'well'])).stdout === 'well\n'
      ? true
      : undefined,
  );

describe('a tunnel comes back by itself', () => {
  it.each(['SIGKILL', 'SIGTERM'] as const)('after the node ended by %s', async (signal) => {
    await node.machine.stop(signal);
    await node.machine.start({ args: node.args });
    await hangingOn(fleet, node, [one]);
    await answers();
  });

  it('after a reload of the node, whose session goes on in the old process', async () => {
    const session = openEchoSession(one.people, 'alice', 'far1');
    await session.echo('before');
    const { from } = await node.reload();
    await hangingOn(fleet, node, [one]);
    await session.echo('after');
    await answers();
    session.close();
    await gone(from);
  });

  it('after the auth server was away: sessions go on meanwhile, and new ones begin', async () => {
    const session = openEchoSession(one.people, 'alice', 'far1');
    await session.echo('before');
    await fleet.cluster.auth.stop();
    await session.echo('without auth');
    expect(await fleet.hangsOn(node.machine)).toEqual(new Set([one.hostId()]));
    await answers();
    await fleet.cluster.auth.start();
    await session.echo('after');
    await answers();
    session.close();
  });

  it('after the only proxy was away', async () => {
    const last = one.proxy.main();
    await one.proxy.machine.stop('SIGKILL');
    if (last !== undefined) await gone(last);
    await until('the node to notice', async () =>
      (await fleet.hangsOn(node.machine)).size === 0 ? true : undefined,
    );
    await one.proxy.machine.start({ args: one.proxy.args });
    await hangingOn(fleet, node, [one]);
    await answers();
  });
});

describe('a rotation of the authorities', () => {
  const stepTo = (type: string, phase: string, ...more: readonly string[]): Promise<true> =>
    until(`the step to ${phase}`, async () =>
      (await one.people.tctl('auth', 'rotate', `--type=${type}`, `--phase=${phase}`, '--manual', ...more))
        .code === 0
        ? true
        : undefined,
    );

  it('opens the link again under the new keys, cuts no session, and ends links under the old ones', async () => {
    const { auth, authPort } = fleet.cluster;
    const keys = await takeKeys({ auths: [auth], servers: [{ host: '127.0.0.1', port: authPort }] });
    const [old] = keys.host;
    if (old === undefined) throw new Error('a host authority');
    const stolen = forgedHost(old, { role: 'Node', trusts: keys.host });
    const thief = await openRawLink(one.ports.web, stolen);
    const session = openEchoSession(one.people, 'alice', 'far1');
    await session.echo('before');
    for (const phase of ['init', 'update_clients', 'update_servers', 'standby']) {
      await stepTo('host', phase);
      await session.echo(phase);
      await answers(); // and the client learns the new authority in time
    }
    expect(await thief.link.closed).toBe('the other end closed it');
    const late = await openRawLink(one.ports.web, stolen);
    await late.link.closed;
    expect(late.said).toEqual([{ refused: expect.stringContaining('not valid') as string }]);
    await session.echo('after');
    await hangingOn(fleet, node, [one]);
    await answers();
    session.close();
  });

  it('of people takes effect on a node that is reached by its link alone', async () => {
    const session = openEchoSession(one.people, 'alice', 'far1');
    for (const phase of ['init', 'update_clients', 'update_servers']) {
      await stepTo('user', phase);
      await session.echo(phase);
      await answers();
    }
    // It was not renewed: tsh has one of the new key from here on.
    await logIn(one.people, 'alice');
    await answers();
    await stepTo('user', 'standby', '--end-sessions');
    await until('the session under the old key to end', () => session.ended());
    await answers();
    await hangingOn(fleet, node, [one]);
  });
});
