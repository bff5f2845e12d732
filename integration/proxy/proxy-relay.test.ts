import { once } from 'node:events';
import net from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectAuthOver } from '../../src/api/auth-connection.ts';
import { listHosts } from '../../src/api/operations/host.ts';
import { recordingSink } from '../../src/api/testing.ts';
import { version } from '../../src/base/version.ts';
import { realWorld } from '../../src/base/world.ts';
import { fromAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { connectSsh, type SshClient } from '../../src/ssh/cert-client.ts';
import { serverName } from '../harness/auth-bench.ts';
import { until } from '../harness/run-program.ts';
import { now, type PlainServer, startPlainServer } from '../harness/echo-node.ts';
import { eventually, type Person, type ProxyBench, startProxy } from './proxy-bench.ts';

let proxy: ProxyBench;
let plain: PlainServer;
/** Ends its direction at once. */
let deaf: PlainServer;
let alice: Person;

beforeAll(async () => {
  plain = await startPlainServer();
  deaf = await startPlainServer({ endsFirst: true });
  proxy = await startProxy({ plainSshHosts: [plain.address, deaf.address] });
  await proxy.echoNode('node1');
  alice = await proxy.person('alice');
  await eventually('the proxy to know the node', () => onNode(0));
});
afterAll(async () => {
  await proxy.stop();
  await plain.close();
  await deaf.close();
});

async function withClient<T>(act: (client: SshClient) => Promise<T>): Promise<T> {
  const client = await proxy.connect(alice);
  try {
    return await act(client);
  } finally {
    client.close();
  }
}

const piece = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7) % 251));

/** Sends 300 kB to an echo on the node through the proxy, and takes it back whole. */
const onNode = (number: number): Promise<void> =>
  withClient(async (client) => {
    const tunnel = await client.subsystem('proxy:node1:0@default@example');
    const inner = await connectSsh({
      target: { stream: tunnel.channel },
      username: 'root',
      identities: [alice.identity],
      hostAuthorities: () => alice.hostAuthorities.map(fromAuthorizedKeyLine),
      hostPrincipals: ['node1'],
      now,
    });
    const session = await inner.exec(`number ${number}`);
    session.channel.end(piece);
    const got: Buffer[] = [];
    for await (const chunk of session.channel) got.push(chunk as Buffer);
    expect(Buffer.concat(got).equals(Buffer.concat([Buffer.from(`node1: number ${number}\n`), piece]))).toBe(
      true,
    );
    expect(await session.exit).toEqual({ status: 'exited', code: 3 });
    inner.close();
  });

describe('reaching a node with our own client', () => {
  it('carries many streams at once, byte for byte', async () => {
    await Promise.all(Array.from({ length: 8 }, (_, i) => onNode(i)));
  });
  it('carries on to a server that has ended its own direction', async () => {
    await withClient(async (client) => {
      const { channel } = await client.subsystem(`proxy:127.0.0.1:${deaf.address.port}`);
      expect(await text(channel)).toBe('SSH-2.0-OpenSSH_9.2\r\n');
      channel.write('late ');
      channel.end('words');
      await until('it to hear all', () => deaf.heard() === 'late words' || undefined);
    });
    await until('it to be closed', async () => (await deaf.open()) === 0 || undefined);
  });
  it('answers as stock servers do what clients ask on the side', async () => {
    await withClient(async (client) => {
      expect((await client.request('recording-proxy@teleport.com'))?.toString()).toBe('false');
      expect((await client.request('x-teleport-version'))?.toString()).toBe(version);
      const session = await client.subsystem('proxysites', {
        env: { LANG: 'C', ANY: 'x' },
        agentForwarding: true,
      });
      expect(await text(session.channel)).toContain('"example"');
    });
  });
  it('goes on when a client says on the side that it reads no more', async () => {
    await withClient(async (client) => {
      const session = await client.subsystem(`proxy:127.0.0.1:${plain.address.port}`);
      const { channel } = session;
      const first = await new Promise<Buffer>((got) => channel.once('data', got));
      expect(first.toString()).toBe('SSH-2.0-OpenSSH_9.2\r\n');
      session.signal('USR1'); // a request that means nothing here
      channel.end('SSH-2.0-mine\r\n');
      expect(await text(channel)).toBe('heard all\n');
    });
  });
  it('carries the API of auth, raw, to whom auth knows by its own certificate', async () => {
    await withClient(async (client) => {
      const api = connectAuthOver(
        async () => (await client.subsystem('proxy:@example')).channel,
        { key: alice.privateKeyPem, cert: alice.tlsCertificatePem, ca: alice.tlsCasPem, serverName },
        { world: realWorld, sink: recordingSink() },
      );
      const { hosts } = await api.call(listHosts, { role: 'Node' });
      expect(hosts.map(({ nodename }) => nodename)).toEqual(['node1']);
      api.close();
    });
  });
  it('counts the streams that it carries now', async () => {
    await withClient(async (client) => {
      const { channel } = await client.subsystem(`proxy:127.0.0.1:${plain.address.port}`);
      channel.resume();
      await until(
        'the stream to be counted',
        () => proxy.gauges.get('proxy_ssh_sessions') === 1 || undefined,
      );
    });
    await until('the count to go down', () => proxy.gauges.get('proxy_ssh_sessions') === 0 || undefined);
  });
});

describe('with auth away', () => {
  it('goes on by what was last known, and says so', async () => {
    await withClient(async () => {
      await proxy.link.close();
      const lacks = await until('the proxy to notice', () => {
        const condition = proxy.running.condition();
        return condition.status === 'degraded' ? condition.lacks[0] : undefined;
      });
      expect(lacks).toMatch(
        /^auth is away \(.+\): those who have a certificate go on, by what was last known; nobody can log in$/,
      );
    });
    await onNode(1);
    await withClient(async (client) => {
      await expect(client.subsystem('proxy:@example')).rejects.toThrow(
        'no auth server answers: cannot connect to',
      );
    });
  });
  it('stops with clients connected, leaving no socket', async () => {
    const client = await proxy.connect(alice);
    const { channel } = await client.subsystem(`proxy:127.0.0.1:${plain.address.port}`);
    channel.on('error', () => undefined).resume();
    const idle = net.connect(proxy.ssh); // never logs in
    idle.on('error', () => undefined).resume();
    const web = net.connect(proxy.web); // never says a word
    web.on('error', () => undefined).resume();
    await Promise.all([once(idle, 'data'), once(web, 'connect')]);
    await proxy.running.stop(0);
    expect(proxy.openSockets()).toBe(0);
    expect(proxy.gauges.get('proxy_ssh_sessions')).toBe(0);
    expect(await plain.open()).toBe(0);
    await expect(proxy.connect(alice)).rejects.toThrow(/cannot connect/);
  });
});
