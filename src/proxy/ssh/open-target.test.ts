import { Duplex, PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { CodedError } from '../../base/errors.ts';
import { formatHostPort, type HostPort } from '../../base/service.ts';
import { diallerBy } from './dial-node.ts';
import { indexNodes } from './node-index-testing.ts';
import { authOpener } from './open-auth.ts';
import { type Leaves, noLeaves, targetOpener, type OpenTarget, type TargetDeps } from './open-target.ts';
import type { NodeTarget } from './request-target.ts';
import type { NodeDirectory } from '../proxy-views.ts';
import { nodeInfo } from '../testing.ts';

const id = '00000000-0000-4000-8000-000000000001';
const client = { username: 'alice', address: { host: '192.0.2.1', port: 1 }, routeToCluster: '' };
const node = (host: string, port = 0, cluster?: string): NodeTarget => ({
  kind: 'node',
  host,
  port,
  cluster,
});
const never = new AbortController().signal;

const noNodes: NodeDirectory = {
  index: () => indexNodes([]),
  isAlive: () => true,
  goneSince: () => undefined,
  hangsOn: () => [],
  lockedBy: () => undefined,
};

interface Bench {
  readonly open: OpenTarget;
  readonly dialled: string[];
  readonly lookedUp: string[];
  readonly streams: Duplex[];
}
/** `banners`: what answers at an address; elsewhere nothing listens. */
function bench(banners: Record<string, string>, wish: Partial<TargetDeps> = {}): Bench {
  const dialled: string[] = [];
  const lookedUp: string[] = [];
  const streams: Duplex[] = [];
  const dialAddress = (address: HostPort): Promise<Duplex> => {
    const name = formatHostPort(address);
    dialled.push(name);
    const banner = banners[name];
    if (banner === undefined)
      return Promise.reject(
        new CodedError('unavailable', `cannot connect to ${name}: nothing listens there`),
      );
    const says = new PassThrough();
    if (banner !== '') says.write(banner);
    const stream = Duplex.from({ readable: says, writable: new PassThrough() });
    stream.on('error', () => undefined);
    streams.push(stream);
    return Promise.resolve(stream);
  };
  const open = targetOpener({
    leaves: noLeaves,
    clusterName: 'example',
    nodes: { ...noNodes, index: () => indexNodes([nodeInfo(id, 'node1', '10.0.0.1:3022')]) },
    lookUpName: (name) => {
      lookedUp.push(name);
      return Promise.resolve(name === 'alias' ? ['10.0.0.1'] : []);
    },
    diallerOf: diallerBy({
      direct: ({ address }) => dialAddress(address),
      tunnel: () => Promise.reject(new Error('not here')),
    }),
    dialAddress,
    openAuth: authOpener(
      () => [
        { host: '10.0.0.8', port: 3025 },
        { host: '10.0.0.9', port: 3025 },
      ],
      dialAddress,
    ),
    signClient: ({ client: told }) => ({ client: told, proof: undefined }),
    plainSshHosts: [],
    ...wish,
  });
  return { open, dialled, lookedUp, streams };
}
const nodeUp = { '10.0.0.1:3022': 'SSH-2.0-OpenSSH_Teleport\r\n' };

describe('opening what a client asks for', () => {
  it('leads nobody to a node that is locked, and dials none', async () => {
    const nodes = {
      index: () => indexNodes([nodeInfo(id, 'node1', '10.0.0.1:3022')]),
      ...{ isAlive: () => true, goneSince: () => undefined, hangsOn: () => [] },
      lockedBy: () => 'lock targeting Node:"node1" is in force',
    };
    const { open, dialled } = bench(nodeUp, { nodes });
    await expect(open(node('node1'), client, never)).rejects.toMatchObject({
      ...{ code: 'access_denied', message: 'lock targeting Node:"node1" is in force' },
    });
    expect(dialled).toEqual([]);
  });
  it.each(['node1', 'node1.example', id, '10.0.0.1', 'alias'])('reaches a node as %s', async (host) => {
    const { open, dialled } = bench(nodeUp);
    await open(node(host), client, never);
    expect(dialled).toEqual(['10.0.0.1:3022']);
  });
  it('goes by the cluster that is named, else by that of the certificate', async () => {
    const { open } = bench(nodeUp);
    await open(node('node1', 0, 'example'), { ...client, routeToCluster: 'leaf' }, never);
    const unknown = {
      code: 'not_found',
      message: 'invalid format for proxy request: unknown cluster "leaf"',
    };
    await expect(open(node('node1'), { ...client, routeToCluster: 'leaf' }, never)).rejects.toMatchObject(
      unknown,
    );
    await expect(open({ kind: 'auth', cluster: 'leaf' }, client, never)).rejects.toMatchObject(unknown);
  });
  it.each(['elsewhere', '169.254.169.254', '10.0.0.8', 'localhost'])('dials nothing for %s', async (host) => {
    const { open, dialled } = bench({ ...nodeUp, '169.254.169.254:80': 'SSH-', '10.0.0.8:3025': 'SSH-' });
    for (const port of [0, 22, 80, 3025])
      await expect(open(node(host, port), client, never)).rejects.toMatchObject({ code: 'not_found' });
    expect(dialled).toEqual([]);
  });
  it('leads into a cluster that trusts this one, by its name or by that of the node', async () => {
    const asked: unknown[] = [];
    const leaves: Leaves = {
      known: () => ['leaf', 'far.leaf', 'e'],
      dial: (clusterName, { target }) => {
        asked.push([clusterName, target]);
        return Promise.resolve(new PassThrough());
      },
    };
    const all = [
      nodeInfo(id, 'node1', '10.0.0.1:3022'),
      nodeInfo(id.replace(/1$/, '2'), 'odd.leaf', '10.0.0.1:3022'),
    ];
    const nodes = { ...noNodes, index: () => indexNodes(all) };
    const { open } = bench(nodeUp, { leaves, nodes });
    const routed = { ...client, routeToCluster: 'leaf' };
    await open(node('n1', 22, 'leaf'), client, never);
    await open({ kind: 'auth', cluster: 'leaf' }, client, never);
    await open(node('n1.leaf', 22), client, never);
    await open(node('n1.FAR.leaf'), client, never);
    await open(node('n1'), routed, never);
    expect(asked).toEqual([
      ['leaf', { kind: 'node', host: 'n1', port: 22 }],
      ['leaf', { kind: 'auth' }],
      ['leaf', { kind: 'node', host: 'n1.leaf', port: 22 }],
      ['far.leaf', { kind: 'node', host: 'n1.FAR.leaf', port: 0 }],
      ['leaf', { kind: 'node', host: 'n1', port: 0 }],
    ]);
    // Of this cluster: by its name, and where a node of it has such a name.
    await open(node('node1.example'), routed, never);
    await open(node('odd.leaf'), client, never);
    expect(asked).toHaveLength(5);
    await expect(open(node('n1', 0, 'other'), client, never)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('reaches a plain SSH server that is allowed by name and port, and no other port of it', async () => {
    const { open, dialled } = bench(
      { 'legacy:22': 'SSH-2.0-OpenSSH_9.2\r\n' },
      { plainSshHosts: [{ host: 'legacy', port: 22 }] },
    );
    await open(node('legacy', 22), client, never);
    await open(node('legacy'), client, never);
    await expect(open(node('legacy', 23), client, never)).rejects.toMatchObject({ code: 'not_found' });
    expect(dialled).toEqual(['legacy:22', 'legacy:22']);
  });
  it('gives nothing that is no SSH server', async () => {
    const { open, streams } = bench({ '10.0.0.1:3022': 'HTTP/1.1 200 OK\r\n' });
    await expect(open(node('node1'), client, never)).rejects.toMatchObject({
      cause: { message: 'at 10.0.0.1:3022, what answers there is not an SSH server' },
    });
    expect(streams[0]?.destroyed).toBe(true);
  });
  it('tells nobody what is at the address of a node: all that fails reads the same', async () => {
    const told = new Set<string>();
    for (const banner of [undefined, 'HTTP/1.1 400', '220 mail', 'SSH-2.0-OpenSSH_9.2\r\n', 'X']) {
      const { open } = bench(banner === undefined ? {} : { '10.0.0.1:3022': banner });
      const e: unknown = await open(node('node1'), client, never).catch((failure: unknown) => failure);
      told.add(e instanceof Error ? e.message : 'opened');
    }
    expect([...told]).toEqual(['cannot reach node node1: the log and the audit of this proxy say why']);
  });
  it('says since when a node is gone that does not answer', async () => {
    const nodes = {
      index: () => indexNodes([nodeInfo(id, 'node1', '10.0.0.1:3022')]),
      isAlive: () => false,
      hangsOn: () => [],
      goneSince: () => '2026-01-01T00:00:00.000Z',
      lockedBy: () => undefined,
    };
    await expect(bench({}, { nodes }).open(node('node1'), client, never)).rejects.toMatchObject({
      code: 'unavailable',
      message:
        'cannot reach node node1 (the node was last seen 2026-01-01T00:00:00.000Z): the log and the audit of this proxy say why',
      cause: { message: 'at 10.0.0.1:3022, cannot connect to 10.0.0.1:3022: nothing listens there' },
    });
  });
  it('says what this proxy does not support where a node is reached in another way', async () => {
    const tunnelled = {
      ...nodeInfo(id, 'node1', ''),
      reachability: { status: 'unknown', kind: 'relay', record: {} },
    } as const;
    const nodes = {
      index: () => indexNodes([tunnelled]),
      isAlive: () => true,
      goneSince: () => undefined,
      hangsOn: () => [],
      lockedBy: () => undefined,
    };
    const { open, dialled } = bench({ ...nodeUp, 'node1:22': 'SSH-2.0-x' }, { nodes });
    for (const [name, port] of [
      ['node1', 0],
      ['node1', 22],
      [id, 0],
    ] as const)
      await expect(open(node(name, port), client, never)).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringMatching(
          /^node node1 is reached by "relay", which a proxy of version/,
        ) as string,
      });
    expect(dialled).toEqual([]);
  });
  it('says of a node whose address cannot be read just that', async () => {
    const nodes = {
      index: () => indexNodes([nodeInfo(id, 'node1', '1:2:3')]),
      isAlive: () => true,
      goneSince: () => undefined,
      hangsOn: () => [],
      lockedBy: () => undefined,
    };
    await expect(bench({}, { nodes }).open(node('node1'), client, never)).rejects.toMatchObject({
      code: 'unavailable',
      message: 'node node1 announces an address that cannot be read',
    });
  });
  it('asks DNS for no name that a node has', async () => {
    const { open, lookedUp } = bench(nodeUp);
    await open(node('node1'), client, never);
    await open(node('10.0.0.1'), client, never);
    expect(lookedUp).toEqual([]);
  });
  it('takes the next auth server when one does not answer, and names all that failed', async () => {
    const { open, dialled } = bench({ '10.0.0.9:3025': '' });
    await open({ kind: 'auth', cluster: 'example' }, client, never);
    expect(dialled).toEqual(['10.0.0.8:3025', '10.0.0.9:3025']);
    await expect(bench({}).open({ kind: 'auth', cluster: 'example' }, client, never)).rejects.toThrow(
      /^no auth server answers: .*10\.0\.0\.8:3025.*; .*10\.0\.0\.9:3025/,
    );
  });
  it('lets a node go that says nothing, as soon as the client has left', async () => {
    const { open, streams } = bench({ '10.0.0.1:3022': '' });
    const left = new AbortController();
    const opening = expect(open(node('node1'), client, left.signal)).rejects.toMatchObject({
      code: 'unavailable',
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(streams).toHaveLength(1);
    left.abort();
    await opening;
    expect(streams[0]?.destroyed).toBe(true);
  });
});
