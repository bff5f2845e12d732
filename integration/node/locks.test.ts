import { randomUUID } from 'node:crypto';
import { userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { plusMs } from '../../src/base/time.ts';
import { realWorld } from '../../src/base/world.ts';
import { lockStream, userStream } from '../../src/domain/streams.ts';
import type { ClientSession, SshClient } from '../../src/ssh/client-types.ts';
import { until } from '../harness/run-program.ts';
import { isRoot, makeUser, type ThrowawayUser } from '../harness/throwaway-user.ts';
import { type NodeBench, startNode } from './node-bench.ts';

const barMs = 2_000;

interface Live {
  readonly client: SshClient;
  readonly session: ClientSession;
  stderr: string;
}

describe('a lock, on a node', () => {
  let node: NodeBench;
  // The shell of a real account may do a lot when it begins.
  const user: ThrowawayUser | undefined = isRoot ? makeUser() : undefined;
  const login = user?.name ?? userInfo().username;
  const clients: SshClient[] = [];
  const come = async (...[username, wish]: [string, Parameters<NodeBench['connect']>[2]?]) => {
    const client = await node.connect(username, login, wish ?? {});
    clients.push(client);
    return client;
  };
  const live = async (client: SshClient): Promise<Live> => {
    const session = await client.exec('cat');
    const one: Live = { client, session, stderr: '' };
    session.channel.stderr.on('data', (chunk: Buffer) => {
      one.stderr += chunk.toString();
    });
    // It runs: what is written to it comes back.
    const back = new Promise((resolve) => session.channel.once('data', resolve));
    session.channel.write('here\n');
    await back;
    return one;
  };
  const lock = async (kind: string, name: string, more: object = {}): Promise<string> => {
    const id = randomUUID();
    const data = { target: { kind, name }, message: 'call the desk', ...more };
    await node.append(lockStream(id), { type: 'lock.created', data });
    return id;
  };
  const unlock = (id: string): Promise<void> =>
    node.append(lockStream(id), { type: 'lock.ended', data: { reason: 'unlocked' } });
  const refused = async (username: string, why: RegExp, wish = {}): Promise<void> => {
    const before = node.told('auth').length;
    await expect(come(username, wish)).rejects.toMatchObject({ code: 'access_denied' });
    const told = await until('the refusal in the audit', () => node.told('auth')[before]);
    expect(told['error']).toMatch(why);
  };
  const addUser = (username: string, ...roles: string[]): Promise<void> =>
    node.append(`user-${username}`, { type: 'user.created', data: { username, roles, traits: {} } });

  beforeAll(async () => {
    node = await startNode({ logins: [login] });
    for (const name of ['lou', 'bob', 'eve', 'tim']) await addUser(name, 'admin');
    await node.setRole({ name: 'ops', allow: { logins: [login], nodeLabels: { '*': ['*'] } } });
    await addUser('olga', 'ops');
  });
  afterAll(async () => {
    for (const client of clients) client.close();
    await node.stop();
    user?.remove();
  });

  it('ends a hundred live sessions within two seconds, each with the message, and lets in nobody, with auth away as well', async () => {
    const text = 'lock targeting User:"lou" is in force: call the desk';
    const spared = await live(await come('bob'));
    const many = Array.from({ length: 20 }, async () => {
      const client = await come('lou');
      return Promise.all(Array.from({ length: 5 }, () => live(client)));
    });
    const all = (await Promise.all(many)).flat();
    const beganAt = performance.now();
    const id = await lock('user', 'lou');
    await Promise.all(all.map(({ client }) => client.closed));
    expect(performance.now() - beganAt).toBeLessThan(barMs);
    expect(all).toHaveLength(100);
    expect(all.filter(({ stderr }) => !stderr.endsWith(`${text}\n`)).map(({ stderr }) => stderr)).toEqual([]);
    await until('the ends in the audit', () => {
      const ends = node.told('session.end').filter(({ user }) => user === 'lou');
      return ends.length === 100 ? true : undefined;
    });
    expect(node.told('client.disconnect').filter(({ reason }) => String(reason).includes(text))).toHaveLength(
      20,
    );
    node.setAway('cut off');
    await refused(
      'lou',
      /is not authorized to login as .*: lock targeting User:"lou" is in force: call the desk/,
    );
    node.setAway(undefined);
    spared.session.channel.end();
    expect(await spared.session.exit).toEqual({ status: 'exited', code: 0 });
    await unlock(id);
    expect(await (await (await come('lou')).exec('exit 4')).exit).toEqual({ status: 'exited', code: 4 });
  }, 60_000);

  it('is not needed to end whatever runs in the name of a user that is deleted', async () => {
    await addUser('gone', 'admin');
    const all = await Promise.all(Array.from({ length: 20 }, async () => live(await come('gone'))));
    const spared = await live(await come('bob'));
    const beganAt = performance.now();
    await node.append(userStream('gone'), { type: 'user.deleted', data: {} });
    await Promise.all(all.map(({ client }) => client.closed));
    expect(performance.now() - beganAt).toBeLessThan(barMs);
    expect(all.filter(({ stderr }) => stderr !== 'user "gone" has been deleted\n')).toEqual([]);
    await refused('gone', /does not exist/);
    spared.session.channel.end();
    expect(await spared.session.exit).toEqual({ status: 'exited', code: 0 });
  }, 60_000);

  it('of a role, a login, the node by id and name, and a certificate ends what it is about', async () => {
    const serial = 0x4000_0000_0000_0007n;
    for (const [kind, name, person, wish] of [
      ['role', 'ops', 'olga', { roles: ['ops'] }],
      ['login', login, 'bob', {}],
      ['node', node.hostId, 'bob', {}],
      ['node', 'node1', 'bob', {}],
      ['serial', serial.toString(), 'eve', { serial }],
    ] as const) {
      const one = await live(await come(person, wish));
      const id = await lock(kind, name);
      await one.client.closed;
      expect(one.stderr, kind).toMatch(
        /^lock targeting (Role|Login|Node|Serial):.* is in force: call the desk\n$/,
      );
      await refused(person, /lock targeting/, wish);
      // Another certificate of the same person is not locked by the serial of this one.
      if (kind === 'serial') (await come(person, { serial: serial + 1n })).close();
      await unlock(id);
      (await come(person, wish)).close();
    }
  }, 30_000);

  it('of a session ends that one, and no other of its connection', async () => {
    const client = await come('eve');
    const [first, second] = [await live(client), await live(client)];
    const starts = node.told('session.start').filter(({ user }) => user === 'eve');
    const sid = String(starts.at(-2)?.sid);
    await lock('session', sid);
    expect(await first.session.exit).toEqual({ status: 'exited', code: 255 });
    expect(first.stderr).toBe(`lock targeting Session:"${sid}" is in force: call the desk\n`);
    second.session.channel.end();
    expect(await second.session.exit).toEqual({ status: 'exited', code: 0 });
    expect(second.stderr).toBe('');
  });

  it('is over when its end has come, by the clock of the node', async () => {
    await lock('user', 'tim', { expiresAt: plusMs(realWorld.now(), 1_500) });
    await refused('tim', /lock targeting User:"tim"/);
    await until('the end of the lock', async () => {
      try {
        return await come('tim');
      } catch {
        return undefined;
      }
    });
  });

  it('of a newer release holds, as far as this one can read whom', async () => {
    const id = await lock('user', 'tim', { critical: ['hours'], expiresAt: plusMs(realWorld.now(), -1) });
    await refused('tim', /lock targeting User:"tim" is in force: call the desk/);
    expect(JSON.stringify(node.running().condition())).toContain(`cannot read lock ${id} (lock.created`);
  });
});
