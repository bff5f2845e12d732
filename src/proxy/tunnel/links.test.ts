import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { linkProtocol } from '../../tunnel/link-tls.ts';
import { tunnelDialler } from './dial-tunnel.ts';
import {
  endAll,
  heldAt,
  identityOf,
  never,
  nodeAt,
  proxyAt,
  strange,
  TestCluster,
  until,
} from './links-testing.ts';

afterEach(endAll);

function streamOf(stream: Duplex | undefined): Duplex {
  if (stream === undefined) throw new Error('a stream');
  return stream;
}

describe('a node that hangs on a proxy', () => {
  it('is reached by its link, and reaches auth by it', async () => {
    const cluster = new TestCluster();
    const proxy = proxyAt(cluster, 1);
    const node = nodeAt(cluster, [1]);
    await node.agents.first(never);
    await heldAt(node, proxy);
    const dial = tunnelDialler(proxy.front.held, proxy.peers, () => true, {
      monotonic: () => performance.now(),
    });
    expect(await text(await dial({ hostId: node.id, proxies: [] }, { by: 'alice', signal: never }))).toBe(
      'the node',
    );
    expect(await text(await node.agents.open({ to: 'auth' }, never))).toBe('the auth server');
    for (const wish of [{ to: 'own-node' }, { to: 'node', hostId: node.id }] as const)
      await expect(node.agents.open(wish, never)).rejects.toMatchObject({ code: 'access_denied' });
    expect(proxy.front.report()).toEqual({ tunnels: 1, peersHere: 0, leaves: [] });
    expect(node.agents.trouble()).toBeUndefined();
  });

  it('is refused while it is locked, and cut off when it becomes so, and told why', async () => {
    const cluster = new TestCluster();
    const proxy = proxyAt(cluster, 1);
    const node = nodeAt(cluster, [1]);
    await heldAt(node, proxy);
    cluster.lock(node.id);
    await until('the node to be cut off', () => node.agents.held().length === 0);
    await until('the node to know', () => node.sink.lines.some((line) => line.includes('taken over')));
    await until('a refusal', () => (proxy.metrics.counters.get('proxy_tunnels_refused_total') ?? 0) > 0);
    expect(node.agents.trouble()).toContain('taken over');
  });

  it.each([
    ['of another authority', () => identityOf('Node', randomUUID(), strange)],
    ['in another role', () => identityOf('Auth')],
    ['of a proxy that nobody knows', () => identityOf('Proxy')],
  ])('is refused with a certificate %s', async (_what, identity) => {
    const cluster = new TestCluster();
    const proxy = proxyAt(cluster, 1);
    const node = nodeAt(cluster, [1], identity());
    await until('a refusal', () => (proxy.metrics.counters.get('proxy_tunnels_refused_total') ?? 0) > 0);
    expect(proxy.front.held.size).toBe(0);
    expect(node.agents.held()).not.toContain('x');
  });

  it('goes to as many proxies as it is told, and leaves those that are not needed', async () => {
    const cluster = new TestCluster();
    const [one, two] = [proxyAt(cluster, 1), proxyAt(cluster, 2)];
    const node = nodeAt(cluster, [1]);
    await heldAt(node, one);
    const proxies = [one, two].map(({ id }, i) => ({ hostId: id, address: `10.0.0.1:${i + 1}` }));
    for (const { notice } of [one, two]) notice.current = { links: 'all', proxies, spreadMs: 0 };
    await heldAt(node, one, two);
    for (const { notice } of [one, two]) notice.current = { links: 1, proxies, spreadMs: 0 };
    await until('the node to hang on one', () => node.agents.held().length === 1);
  });

  it('hangs on as many as any of them says, while one does not know yet what the other does', async () => {
    const cluster = new TestCluster();
    const [one, two] = [proxyAt(cluster, 1), proxyAt(cluster, 2)];
    const proxies = [one, two].map(({ id }, i) => ({ hostId: id, address: `10.0.0.1:${i + 1}` }));
    for (const { notice } of [one, two]) notice.current = { links: 1, proxies, spreadMs: 0 };
    const node = nodeAt(cluster, [1]);
    await heldAt(node, one);
    one.notice.current = { links: 2, proxies, spreadMs: 0 };
    await heldAt(node, one, two);
    // What the second says comes with its first bytes.
    for (let turns = 0; turns < 200; turns++) await turn();
    await heldAt(node, one, two);
    expect(node.sink.lines.filter((line) => line.includes('is open'))).toHaveLength(2);
  });

  it('keeps the way that leads to it when a proxy does not answer at its own address', async () => {
    const cluster = new TestCluster();
    const one = proxyAt(cluster, 1);
    const gone = { hostId: randomUUID(), address: '10.0.0.1:9' };
    one.notice.current = {
      ...{ links: 2, spreadMs: 0 },
      proxies: [{ hostId: one.id, address: '10.0.0.1:1' }, gone],
    };
    const node = nodeAt(cluster, [1]);
    await until('the other to be tried', () =>
      node.sink.lines.some((line) => line.includes('nothing listens on 9')),
    );
    expect(node.searches.count).toBe(0);
  });

  it('moves when its proxy goes, and what is open stays until it ends', async () => {
    const cluster = new TestCluster();
    const [one, two] = [proxyAt(cluster, 1), proxyAt(cluster, 2)];
    const node = nodeAt(cluster, [1, 2]);
    await heldAt(node, one);
    let moved = 0;
    node.agents.onMove(() => moved++);
    const asked: Duplex[] = [];
    node.agents.serve((wanted) => asked.push(wanted.accept()));
    const open = await one.front.held.usable(node.id)?.link.open({ to: 'own-node' }, never);
    one.front.drain();
    await heldAt(node, two);
    expect(moved).toBe(1);
    asked[0]?.end('still here');
    if (open === undefined) throw new Error('a stream');
    expect(await text(open)).toBe('still here');
    open.end();
    await until('the link to have ended', () => one.front.held.size === 0);
  });

  it('opens its links again under a new identity, and drops the old ones', async () => {
    const cluster = new TestCluster();
    const proxy = proxyAt(cluster, 1);
    const node = nodeAt(cluster, [1]);
    await heldAt(node, proxy);
    const [before] = proxy.front.held.all();
    const next = identityOf('Node', node.id);
    node.shown.replace({ client: next, server: next });
    await before?.link.closed;
    await heldAt(node, proxy);
    await until('one link to be left', () => proxy.front.held.all().length === 1);
  });

  it('takes nothing new once it leaves', async () => {
    const cluster = new TestCluster();
    const proxy = proxyAt(cluster, 1);
    const node = nodeAt(cluster, [1]);
    await heldAt(node, proxy);
    node.agents.leave();
    await until('the link to be left', () => proxy.front.held.usable(node.id) === undefined);
    await expect(node.agents.open({ to: 'auth' }, never)).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('proxies', () => {
  it('forward to the one that holds a node, whoever of them opened the link', async () => {
    const cluster = new TestCluster();
    const holder = proxyAt(cluster, 1);
    const other = proxyAt(cluster, 2, [{ hostId: holder.id, addresses: [{ host: '10.0.0.1', port: 1 }] }]);
    const third = proxyAt(cluster, 3);
    const node = nodeAt(cluster, [1]);
    await heldAt(node, holder);
    await until('the proxies to be linked', () => other.peers.linked === 1);
    expect(other.peers.unreachable()).toEqual([]);
    const dial = tunnelDialler(other.front.held, other.peers, () => true, {
      monotonic: () => performance.now(),
    });
    expect(
      await text(await dial({ hostId: node.id, proxies: [holder.id] }, { by: 'a', signal: never })),
    ).toBe('the node');
    // The other way round, on the same link.
    const far = nodeAt(cluster, [2]);
    await heldAt(far, other);
    const link = holder.front.from(other.id);
    expect(await text(streamOf(await link?.open({ to: 'node', hostId: far.id }, never)))).toBe('the node');
    expect(holder.front.from(third.id)).toBeUndefined();
    await expect(link?.open({ to: 'node', hostId: randomUUID() }, never)).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('that drain reach what hung on them by the process that listens there now, and by others', async () => {
    const cluster = new TestCluster();
    const id = randomUUID();
    const own = { hostId: id, addresses: [{ host: '10.0.0.1', port: 2 }] };
    const old = proxyAt(cluster, 1, [], id, own);
    const node = nodeAt(cluster, [1, 2]);
    await heldAt(node, old);
    // What listens at its addresses is another process of it.
    const next = proxyAt(cluster, 2, [], id);
    cluster.fronts.delete(1);
    old.front.drain();
    old.peers.drain(true);
    await until('the node to hang on the next', () => next.front.held.usable(node.id) !== undefined);
    const dial = tunnelDialler(old.front.held, old.peers, () => true, {
      monotonic: () => performance.now(),
    });
    expect(await text(await dial({ hostId: node.id, proxies: [id] }, { by: 'a', signal: never }))).toBe(
      'the node',
    );
  });

  it('say which ones they do not reach, and why', async () => {
    const cluster = new TestCluster();
    const [away, elsewhere] = [randomUUID(), randomUUID()];
    const real = proxyAt(cluster, 1);
    const proxy = proxyAt(cluster, 2, [
      { hostId: away, addresses: [{ host: '10.0.0.1', port: 9 }] },
      { hostId: elsewhere, addresses: [{ host: '10.0.0.1', port: 1 }] },
    ]);
    await until('both to be tried', () => proxy.peers.unreachable().length === 2);
    expect(proxy.peers.unreachable()).toEqual([
      { hostId: away, why: 'nothing listens on 9' },
      { hostId: elsewhere, why: `at its address answers another proxy, ${real.id}` },
    ]);
    expect(proxy.sink.lines.join('\n')).toContain('another proxy cannot be reached');
  });
});

/** What TLS says first, of a client that says no more. */
async function clientHello(): Promise<Buffer> {
  const [near, far] = duplexPair();
  const socket = connectTls({ socket: near, ALPNProtocols: [linkProtocol] }).on('error', () => undefined);
  const [hello] = (await once(far, 'data')) as [Buffer];
  socket.destroy();
  return hello;
}

describe('strangers who begin a handshake at the end that links come to, and do not go on', () => {
  it('wait from the sixty-fifth on, and keep no node out', async () => {
    const cluster = new TestCluster();
    const proxy = proxyAt(cluster, 1);
    const listener = createServer(proxy.front.serve).listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const { port } = listener.address() as AddressInfo;
    const hello = await clientHello();
    const strangers: Socket[] = [];
    try {
      for (let n = 0; n < 70; n++)
        strangers.push(
          connect(port, '127.0.0.1', () => strangers[n]?.write(hello)).on('error', () => undefined),
        );
      const { gauges } = proxy.metrics;
      await until('some to wait', () => (gauges.get('proxy_tunnels_handshakes_waiting') ?? 0) > 0);
      cluster.dial = async () => {
        const socket = connect(port, '127.0.0.1');
        await once(socket, 'connect');
        return socket;
      };
      await heldAt(nodeAt(cluster, [1]), proxy);
    } finally {
      for (const one of strangers) one.destroy();
      listener.close();
    }
  });
});
