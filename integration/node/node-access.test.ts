import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostPort } from '../../src/base/service.ts';
import type { AuditEvent } from '../../src/domain/audit-event.ts';
import { userStream } from '../../src/domain/streams.ts';
import { proxyPreamble } from '../../src/ssh/proxy-preamble.ts';
import type { SshClient } from '../../src/ssh/cert-client.ts';
import { challengeOf } from '../../src/ssh/server-banner.ts';
import type { SignClient, Statement } from '../../src/ssh/signed-client.ts';
import { until } from '../harness/run-program.ts';
import { type NodeBench, startNode } from './node-bench.ts';
import { toldOf } from './told-of.ts';

const login = userInfo().username;

describe('who may come in on a node', () => {
  let node: NodeBench;
  const clients: SshClient[] = [];
  const come = async (...args: Parameters<NodeBench['connect']>): Promise<SshClient> => {
    const client = await node.connect(...args);
    clients.push(client);
    return client;
  };
  const addUser = (username: string, ...roles: string[]): Promise<void> =>
    node.append(userStream(username), { type: 'user.created', data: { username, roles, traits: {} } });
  const anywhere = { logins: [login], nodeLabels: { '*': ['*'] } };
  const refused = async (why: RegExp, ...args: Parameters<NodeBench['connect']>): Promise<void> => {
    const before = node.told('auth').length;
    // One answer for all, whatever the reason.
    await expect(come(...args)).rejects.toMatchObject({ code: 'access_denied' });
    const told = await until('the refusal in the audit', () => node.told('auth')[before]);
    expect(told).toMatchObject({ code: 'T3007W', success: false });
    expect(told['error']).toMatch(why);
  };
  const gone = async (client: SshClient, why: RegExp): Promise<void> => {
    await client.closed;
    const told = await until('the disconnect in the audit', () =>
      node.told('client.disconnect').find(({ reason }) => why.test(String(reason))),
    );
    expect(told.code).toBe('T3006I');
  };

  beforeAll(async () => {
    node = await startNode({ logins: [login, 'ghost'] });
  });
  afterAll(async () => {
    for (const client of clients) client.close();
    await node.stop();
  });

  it('refuses a login that no role gives', async () => {
    await node.setRole({ name: 'ghosts', allow: { logins: ['ghost'], nodeLabels: { '*': ['*'] } } });
    await addUser('gina', 'ghosts');
    await refused(/^user gina@example is not authorized to login as .+ no role allows/, 'gina', login, {
      roles: ['ghosts'],
    });
  });
  it('refuses where the labels do not fit', async () => {
    await node.setRole({ name: 'prod', allow: { logins: [login], nodeLabels: { env: ['prod'] } } });
    await refused(/no role allows/, 'alice', login, { roles: ['prod'] });
  });
  it('lets a denying role win', async () => {
    await node.setRole({ name: 'not-here', deny: { nodeLabels: { env: ['test'] } } });
    await refused(/role "not-here" denies/, 'alice', login, { roles: ['admin', 'not-here'] });
  });
  it('refuses when a role of the certificate is not known: it might deny', async () => {
    await refused(/there is no role vanished/, 'alice', login, { roles: ['admin', 'vanished'] });
  });
  it('refuses a user that does not exist', async () => {
    await refused(/does not exist/, 'nobody-here', login);
  });
  it('lets in with a certificate from before failed logins locked the password', async () => {
    await addUser('larry', 'admin');
    await node.append(userStream('larry'), {
      type: 'user.locked',
      data: { until: '2999-01-01T00:00:00.000Z', reason: 'test' },
    });
    const client = await come('larry', login);
    expect(await (await client.exec('exit 5')).exit).toEqual({ status: 'exited', code: 5 });
  });
  it("refuses another cluster's authority and an expired certificate", async () => {
    const strange = generateKeyPairSync('ed25519').privateKey;
    await refused(/unknown-ca|not trusted/, 'alice', login, { ca: strange });
    await refused(/expired/, 'alice', login, {
      now: new Date(Date.now() - 7_200_000).toISOString(),
      ttlSeconds: 60,
    });
  });
  it('takes roles and traits of the user for a certificate without them', async () => {
    const client = await come('alice', login, { format: 'oldssh' });
    expect((await (await client.exec('true')).exit).status).toBe('exited');
  });
  it('refuses a terminal, an agent and ports that the certificate does not permit', async () => {
    const client = await come('alice', login, {
      permit: { pty: false, portForwarding: false, agentForwarding: false },
    });
    const size = { columns: 80, rows: 25, widthPixels: 0, heightPixels: 0 };
    await expect(client.shell({ pty: { term: 'xterm', size } })).rejects.toMatchObject({
      message: expect.stringContaining('not allowed by the certificate') as string,
    });
    await expect(client.forwardOut({ host: '127.0.0.1', port: node.port() })).rejects.toThrow(/not allowed/);
    expect(await toldOf(node, 'port', { error: 'port forwarding not allowed' })).toMatchObject({
      code: 'T3003E',
    });
    const { channel } = await client.exec('echo "[$SSH_AUTH_SOCK]"', { agentForwarding: true });
    expect(String(await new Promise((resolve) => channel.once('data', resolve)))).toBe('[]\n');
  });
  it('refuses ports that the roles do not permit', async () => {
    await node.setRole({ name: 'no-ports', options: { portForwarding: false }, allow: anywhere });
    const client = await come('alice', login, { roles: ['no-ports'] });
    await expect(client.forwardOut({ host: '127.0.0.1', port: node.port() })).rejects.toThrow(/not allowed/);
  });
  it('limits the sessions of a connection, and gives the place back', async () => {
    await node.setRole({ name: 'one', options: { maxSessions: 1 }, allow: anywhere });
    const client = await come('alice', login, { roles: ['one'] });
    const first = await client.exec('cat');
    await expect(client.exec('true')).rejects.toThrow(/too many session channels for user "alice" \(max=1\)/);
    expect(await toldOf(node, 'session.rejected', { max: 1 })).toMatchObject({ code: 'T1006W' });
    first.channel.end();
    await first.exit;
    await until('a place', async () => {
      try {
        return await (
          await client.exec('true')
        ).exit;
      } catch {
        return undefined; // the first one is being put on record
      }
    });
  });
  it('has no subsystem but sftp', async () => {
    const client = await come('alice', login);
    await expect(client.subsystem('netconf')).rejects.toThrow(/unrecognized subsystem: netconf/);
    expect(await toldOf(node, 'subsystem', { name: 'netconf' })).toMatchObject({ code: 'T3001E' });
  });
  it('closes a connection on which nothing happens', async () => {
    await node.setRole({ name: 'idle', options: { clientIdleTimeoutSeconds: 3 }, allow: anywhere });
    const client = await come('alice', login, { roles: ['idle'] });
    const busy = await client.exec('for i in 1 2 3 4; do sleep 1; echo $i; done; sleep 600');
    let lines = 0;
    busy.channel.on('data', () => lines++);
    // Whole seconds of a clock that has gone on when it is asked.
    await gone(client, /^client is idle for [3-5]s, exceeded idle timeout of 3s$/);
    expect(lines).toBe(4);
  });
  it('closes a connection when its certificate expires, where a role says so', async () => {
    await node.setRole({ name: 'strict', options: { disconnectExpiredCert: true }, allow: anywhere });
    const client = await come('alice', login, { roles: ['strict'], ttlSeconds: 2 });
    await gone(client, /^client certificate expired at /);
  });
  it('ends what runs when the user is deleted, when the role is changed', async () => {
    await addUser('dora', 'admin');
    const deleted = await come('dora', login);
    const session = await deleted.exec('sleep 600');
    await node.append(userStream('dora'), { type: 'user.deleted', data: {} });
    await gone(deleted, /dora@example.*does not exist/);
    await session.exit;

    await node.setRole({ name: 'passing', allow: anywhere });
    const lost = await come('alice', login, { roles: ['passing'] });
    await node.setRole({ name: 'passing', allow: { ...anywhere, logins: ['ghost'] } });
    await gone(lost, /alice@example.*no role allows/);
  });
  it('goes on by what it knows while auth is away, and says so', async () => {
    node.setAway('connection refused');
    expect(node.running().condition()).toMatchObject({
      status: 'degraded',
      lacks: [expect.stringContaining('auth is away (connection refused)')],
    });
    const client = await come('alice', login);
    expect(await (await client.exec('exit 4')).exit).toEqual({ status: 'exited', code: 4 });
    node.setAway(undefined);
    expect(node.running().condition()).toEqual({ status: 'serving', notices: [] });
  });
  describe('who says that somebody else is the client', () => {
    const claimed = { host: '203.0.113.9', port: 4711 };
    type Say = (banner: string) => Buffer;
    const unsigned: Say = () => proxyPreamble({ client: claimed, proof: undefined });
    const signedBy =
      (sign: SignClient, wish: Partial<Statement> = {}): Say =>
      (banner) =>
        proxyPreamble(
          sign({ challenge: challengeOf(banner) ?? '', hostId: node.hostId, client: claimed, ...wish }),
        );
    const directly = async (bound: HostPort): Promise<Duplex> => {
      const socket = connect(bound);
      await once(socket, 'connect');
      return socket;
    };
    /** Comes in over a stream that begins with a claim. */
    const comeSaying = async (
      say: Say,
      name: string,
      dial: (bound: HostPort) => Promise<Duplex> = directly,
    ): Promise<void> => {
      const stream = await dial({ host: '127.0.0.1', port: node.port() });
      const [banner] = (await once(stream, 'data')) as [Buffer];
      stream.pause();
      stream.unshift(banner);
      stream.write(say(banner.toString()));
      await node.connect(name, login, {}, stream);
    };
    /** Nobody has this name, so the refusal tells the address. */
    const seenFrom = async (...[say, dial]: [Say, typeof directly?]): Promise<AuditEvent> => {
      const name = `u${randomUUID()}`;
      await expect(comeSaying(say, name, dial)).rejects.toMatchObject({ code: 'access_denied' });
      return toldOf(node, 'auth', { user: name });
    };

    it('is believed when a proxy of the cluster signs it, from wherever it comes', async () => {
      const told = await seenFrom(signedBy(await node.signer('Proxy', true)));
      expect(told['addr.remote']).toBe('203.0.113.9:4711');
      expect(told['addr.proxy']).toMatch(/^127\.0\.0\.1:/);
    });

    it('is not believed unsigned: not of our own account, not of who comes through us', async () => {
      const carrier = await come('alice', login);
      for (const dial of [directly, (bound: HostPort) => carrier.forwardOut(bound)]) {
        const told = await seenFrom(unsigned, dial);
        expect(told['addr.remote']).toMatch(/^127\.0\.0\.1:/);
        expect(told['addr.claimed']).toBe('203.0.113.9:4711');
      }
    });

    it('is refused, in one line that names the peer, when what it signs does not hold', async () => {
      const proxy = await node.signer('Proxy', true);
      const spent: Buffer[] = [];
      await seenFrom((banner) => {
        spent.push(signedBy(proxy)(banner));
        return spent[0] ?? Buffer.alloc(0);
      });
      const cases: [Say, RegExp][] = [
        [() => spent[0] ?? Buffer.alloc(0), /for another connection/],
        [signedBy(proxy, { hostId: randomUUID() }), /another node/],
        [signedBy(await node.signer('Node', true)), /in role .*Node/],
        [signedBy(await node.signer('Proxy', false)), /does not know as a proxy/],
      ];
      for (const [say, why] of cases) {
        const before = node.sink.lines.length;
        await expect(comeSaying(say, 'alice')).rejects.toMatchObject({ code: 'unavailable' });
        const lines = node.sink.lines.slice(before);
        // One warning a minute, the rest for those who look closer.
        const [told = '', ...more] = lines.filter((line) => line.includes('ssh connection refused'));
        expect(told).toMatch(/^(?:warn|debug) .*"127\.0\.0\.1"/);
        expect(told).toMatch(why);
        expect(more).toEqual([]);
      }
    });
  });
});
