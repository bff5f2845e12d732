import { describe, expect, it } from 'vitest';
import type { HostInfo } from '../domain/host-info.ts';
import { needsDns, resolveNode, withoutCluster } from './resolve-node.ts';

const node = (hostId: string, nodename: string, address: string): HostInfo => ({
  hostId,
  role: 'Node',
  nodename,
  address,
  publicAddress: '',
  sshPublicAddress: '',
  labels: {},
  version: '4.5.0',
});
const id = (n: number): string => `00000000-0000-4000-8000-00000000000${n}`;
const nodes = [
  node(id(1), 'node1', '10.0.0.1:3022'),
  node(id(2), 'node2', '10.0.0.2:3022'),
  node(id(3), 'twin', '10.0.0.3:3022'),
  node(id(4), 'twin', '10.0.0.4:3023'),
  node(id(5), 'six', '[fd00::6]:3022'),
];
const found = (host: string, port = 0, dns: string[] = []): string =>
  resolveNode(nodes, { host, port }, dns).hostId;
const refusal = (host: string, port = 0): unknown => {
  try {
    return found(host, port);
  } catch (e) {
    return (e as Error).message;
  }
};

describe('finding the node that a name means', () => {
  it('goes by name, in any case', () => {
    expect(found('node1')).toBe(id(1));
    expect(found('NODE2')).toBe(id(2));
  });
  it('goes by UUID, and says when there is none', () => {
    expect(found(id(4))).toBe(id(4));
    expect(refusal(id(9))).toBe(`unable to locate node matching uuid-like target ${id(9)}`);
  });
  it('goes by address, IPv6 too', () => {
    expect(found('10.0.0.2')).toBe(id(2));
    expect(resolveNode(nodes, { host: 'fd00::6', port: 0 }).address).toEqual({ host: 'fd00::6', port: 3022 });
  });
  it('goes by what DNS says', () => {
    expect(found('alias', 0, ['10.0.0.1'])).toBe(id(1));
  });
  it('tells twins apart by port, and refuses to guess', () => {
    expect(found('twin', 3023)).toBe(id(4));
    expect(refusal('twin')).toBe('err-node-is-ambiguous');
  });
  it('refuses what is no node of the cluster', () => {
    expect(refusal('elsewhere')).toMatch(/no node of this cluster is called elsewhere/);
    expect(refusal('node1', 22)).toMatch(/does not listen on port 22/);
  });
  it('takes the cluster off the end of a name', () => {
    expect(withoutCluster('node1.example', 'example')).toBe('node1');
    expect(withoutCluster('node1', 'example')).toBe('node1');
    expect(withoutCluster('example', 'example')).toBe('example');
  });
  it('asks DNS only for names that could need it', () => {
    expect(needsDns(nodes, 'node1')).toBe(false);
    expect(needsDns(nodes, '10.1.1.1')).toBe(false);
    expect(needsDns(nodes, id(1))).toBe(false);
    expect(needsDns(nodes, 'alias')).toBe(true);
  });
});
