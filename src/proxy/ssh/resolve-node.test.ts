import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CodedError } from '../../base/errors.ts';
import { type KnownNode } from './node-index.ts';
import { indexNodes } from './node-index-testing.ts';
import { allowedOutside, needsDns, resolveNode, withoutCluster } from './resolve-node.ts';
import { nodeInfo } from '../testing.ts';

const id = (n: number): string => `00000000-0000-4000-8000-00000000000${n}`;
const infos = [
  nodeInfo(id(1), 'node1', '10.0.0.1:3022'),
  nodeInfo(id(2), 'node2', '10.0.0.2:3022'),
  nodeInfo(id(3), 'twin', '10.0.0.3:3022'),
  nodeInfo(id(4), 'twin', '10.0.0.4:3023'),
  nodeInfo(id(5), 'six', '[fd00::6]:3022'),
  nodeInfo(id(6), 'broken', '1:2:3'),
  nodeInfo(id(7), 'named', 'named.internal:3022'),
];
const nodes = indexNodes(infos);

interface Given {
  readonly port?: number;
  readonly dns?: readonly string[];
  readonly alive?: readonly string[];
}
const resolve = (host: string, { port = 0, dns = [], alive }: Given = {}): KnownNode =>
  resolveNode(nodes, { host, port }, { dns, isAlive: ({ hostId }) => alive?.includes(hostId) ?? true });
const found = (host: string, given?: Given): string => resolve(host, given).hostId;
const refusal = (host: string, given?: Given): { code: string; message: string } => {
  try {
    found(host, given);
  } catch (e) {
    if (e instanceof CodedError) return { code: e.code, message: e.message };
    throw e;
  }
  throw new Error(`${host} was found`);
};

describe('finding the node that a name means', () => {
  it('goes by name, in any case', () => {
    expect(found('node1')).toBe(id(1));
    expect(found('NODE2')).toBe(id(2));
  });
  it('goes by UUID alone, and says when there is none', () => {
    expect(found(id(4), { port: 9 })).toBe(id(4));
    expect(refusal(id(9))).toEqual({
      code: 'not_found',
      message: `unable to locate node matching uuid-like target ${id(9)}`,
    });
  });
  it('goes by address, however IPv6 is written', () => {
    expect(found('10.0.0.2')).toBe(id(2));
    for (const six of ['fd00::6', 'FD00::6', 'fd00:0:0:0:0:0:0:6']) expect(found(six)).toBe(id(5));
    expect(found('named.internal')).toBe(id(7));
  });
  it('goes by what DNS says', () => {
    expect(found('alias', { dns: ['10.9.9.9', '10.0.0.1'] })).toBe(id(1));
    expect(refusal('alias', { dns: ['10.0.0.1', '10.0.0.2'] }).message).toMatch(
      /^err-node-is-ambiguous: 2 nodes/,
    );
  });
  it('tells twins apart by port, and refuses to guess', () => {
    expect(found('twin', { port: 3023 })).toBe(id(4));
    expect(refusal('twin').code).toBe('bad_request');
  });
  it('names all that answer to a name, who had it first before the others', () => {
    const since = new Map([
      [id(3), { position: 9, at: '2026-02-01T00:00:00.000Z' }],
      [id(4), { position: 4, at: '2026-01-01T00:00:00.000Z' }],
    ]);
    const index = indexNodes(infos, (hostId) => since.get(hostId));
    expect(() => resolveNode(index, { host: 'twin', port: 0 }, { dns: [], isAlive: () => true })).toThrow(
      `err-node-is-ambiguous: 2 nodes answer to twin: ${id(4)} (so called since 2026-01-01T00:00:00.000Z); ` +
        `${id(3)} (so called since 2026-02-01T00:00:00.000Z). Give the id of the one that you mean`,
    );
  });
  it('names five of them, and how many more there are', () => {
    const named = (count: number): string => {
      const many = Array.from({ length: count }, (_, i) => nodeInfo(id(i), 'crowd', `10.0.1.${i}:3022`));
      try {
        resolveNode(indexNodes(many), { host: 'crowd', port: 0 }, { dns: [], isAlive: () => true });
      } catch (e) {
        return (e as CodedError).message;
      }
      return expect.unreachable();
    };
    const five = [0, 1, 2, 3, 4].map(id).join('; ');
    const advice = 'Give the id of the one that you mean';
    expect(named(5)).toBe(`err-node-is-ambiguous: 5 nodes answer to crowd: ${five}. ${advice}`);
    expect(named(7)).toBe(`err-node-is-ambiguous: 7 nodes answer to crowd: ${five}; and 2 more. ${advice}`);
  });
  it('never asks for an address, or DNS, where a node has the name', () => {
    const index = indexNodes([
      ...infos,
      nodeInfo(id(8), 'rogue', 'node1:3022'),
      nodeInfo(id(9), 'rogue2', 'twin:9'),
    ]);
    const all = { dns: ['10.0.0.2'], isAlive: () => true };
    expect(resolveNode(index, { host: 'node1', port: 0 }, all).hostId).toBe(id(1));
    // Nor where the name is that of one that is gone.
    const onlyRogue = { dns: [], isAlive: ({ hostId }: { hostId: string }) => hostId === id(8) };
    expect(resolveNode(index, { host: 'node1', port: 0 }, onlyRogue).hostId).toBe(id(1));
    expect(() => resolveNode(index, { host: 'twin', port: 9 }, all)).toThrow('does not listen on port 9');
  });
  it('prefers the living, so that a machine made anew under its old name is found', () => {
    expect(found('twin', { alive: [id(3)] })).toBe(id(3));
  });
  it('finds a node that is not alive when it is the only one', () => {
    expect(found('node1', { alive: [] })).toBe(id(1));
    expect(refusal('twin', { alive: [] }).message).toMatch(/^err-node-is-ambiguous/);
  });
  it('refuses what is no node of the cluster, and says what is wrong with a port', () => {
    expect(refusal('elsewhere')).toEqual({
      code: 'not_found',
      message: 'no node of this cluster is called elsewhere ("tsh ls" shows them)',
    });
    expect(refusal('node1', { port: 22 }).message).toMatch(/^node node1 does not listen on port 22/);
  });
  it('is not stopped by a node that announces nonsense', () => {
    expect(found('node1')).toBe(id(1));
    expect(found('broken')).toBe(id(6));
    expect(refusal('broken', { port: 3022 }).code).toBe('not_found');
  });
  it('goes by name and id for a node that is not reached at an address, whatever port is asked for', () => {
    const reachability = { status: 'tunnel', proxies: [] } as const;
    const index = indexNodes([...infos, { ...nodeInfo(id(8), 'inside', ''), reachability }]);
    const all = { dns: [], isAlive: () => true };
    for (const port of [0, 22]) {
      expect(resolveNode(index, { host: 'inside', port }, all).hostId).toBe(id(8));
      expect(resolveNode(index, { host: id(8), port }, all).reachability).toEqual(reachability);
    }
    expect(index.byAddress('')).toEqual([]);
  });
  it('takes the cluster off the end of a name', () => {
    expect(withoutCluster('node1.example', 'example')).toBe('node1');
    expect(withoutCluster('NODE1.Example', 'example')).toBe('NODE1');
    expect(withoutCluster('node1', 'example')).toBe('node1');
    expect(withoutCluster('example', 'example')).toBe('example');
  });
  it('asks DNS only for names that could need it', () => {
    for (const host of ['node1', 'NODE1', 'named.internal', '10.1.1.1', 'fd00::6', id(1), id(9)])
      expect(needsDns(nodes, host)).toBe(false);
    expect(needsDns(nodes, 'alias')).toBe(true);
  });
  it('answers only with what was asked for, whatever the nodes are called', () => {
    const host = fc.constantFrom('a', 'b', 'A', '10.0.0.1', '10.0.0.2');
    const port = fc.constantFrom(0, 22, 3022);
    const node = fc.record({
      name: host,
      address: host,
      port: fc.constantFrom(22, 3022),
      alive: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(node, { maxLength: 6 }), host, port, (all, wanted, wantedPort) => {
        const index = indexNodes(all.map((n, i) => nodeInfo(id(i), n.name, `${n.address}:${n.port}`)));
        const is = (text: string): boolean => text.toLowerCase() === wanted.toLowerCase();
        const named = all.filter((n) => is(n.name));
        const meant = named.length > 0 ? named : all.filter((n) => is(n.address));
        const fits = meant.filter((n) => wantedPort === 0 || n.port === wantedPort);
        const living = fits.filter((n) => n.alive);
        const expected = living.length > 0 ? living : fits;
        const isAlive = ({ hostId }: { hostId: string }): boolean =>
          all[Number(hostId.at(-1))]?.alive === true;
        let got: unknown;
        try {
          got = resolveNode(index, { host: wanted, port: wantedPort }, { dns: [], isAlive }).hostId;
        } catch (e) {
          got = (e as CodedError).code;
        }
        const [only] = expected;
        if (only === undefined) expect(got).toBe('not_found');
        else if (expected.length > 1) expect(got).toBe('bad_request');
        else expect(got).toBe(id(all.indexOf(only)));
      }),
    );
  });
});

describe('allowing a host that is no node', () => {
  const allowed = [
    { host: 'Legacy', port: 22 },
    { host: 'two', port: 22 },
    { host: 'two', port: 2222 },
    { host: 'fd00::9', port: 22 },
  ];
  it.each([
    ['legacy', 22, allowed[0]],
    ['legacy', 0, allowed[0]],
    ['two', 2222, allowed[2]],
    ['FD00:0::9', 0, allowed[3]],
    ['legacy', 23, undefined],
    ['two', 0, undefined],
    ['other', 22, undefined],
    ['legacy.example', 22, undefined],
  ])('%s, port %i', (host, port, entry) => {
    expect(allowedOutside(allowed, { host, port })).toBe(entry);
  });
  it('allows nothing by default', () => {
    fc.assert(
      fc.property(fc.string(), fc.nat(65_535), (host, port) => {
        expect(allowedOutside([], { host, port })).toBeUndefined();
      }),
    );
  });
});
