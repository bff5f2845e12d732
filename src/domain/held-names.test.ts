import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { certifiedAs, isApiName, listensAt, namesHeldBy, withCertifiedNames } from './held-names.ts';
import type { HostInfo } from './host-info.ts';

const host: HostInfo = {
  hostId: '00000000-0000-4000-8000-000000000001',
  role: 'Proxy',
  nodename: 'P1',
  reachability: { status: 'direct', address: '10.0.0.1:3080' },
  publicAddress: 'Web.example.com:443',
  sshPublicAddress: '[FD00:0::1]:3023',
  labels: {},
  version: '4.5.0',
};

describe('what a host is called', () => {
  it('is its name, that in the cluster, its places and what its certificate says', () => {
    expect([...namesHeldBy({ ...host, otherNames: ['SSH.example.com'] }, 'example')]).toEqual([
      ...['p1', 'p1.example', 'ssh.example.com', '10.0.0.1', 'web.example.com', 'fd00::1'],
    ]);
  });
  it('has no address where it is not reached at one', () => {
    const tunnelled = { ...host, reachability: { status: 'tunnel', proxies: [] } } as const;
    expect([...namesHeldBy(tunnelled, 'example')]).toEqual([
      'p1',
      'p1.example',
      'web.example.com',
      'fd00::1',
    ]);
    expect(listensAt(tunnelled, '10.0.0.1')).toBe(false);
  });
  it("is remembered of its certificate without what is said elsewhere, every machine's and the API's", () => {
    const certified = ['p1', 'web.example.com', '10.0.0.1', 'localhost', '127.0.0.1', '::1', host.hostId];
    const api = ['*.teleport.cluster.local', 'teleport.cluster.local'];
    expect(withCertifiedNames(host, [...certified, ...api])).toEqual(host);
    expect(withCertifiedNames(host, ['b', ...certified, 'a', 'b', '10.0.0.2']).otherNames).toEqual([
      '10.0.0.2',
      'a',
      'b',
    ]);
  });
  it('is its own address where it listens there, not where people only call it so', () => {
    expect(listensAt(host, '10.0.0.1')).toBe(true);
    expect(listensAt({ ...host, publicAddress: '10.0.0.1:443' }, '10.0.0.1')).toBe(false);
    expect(listensAt(host, 'fd00::1') || listensAt(host, '10.0.0.2')).toBe(false);
  });
  it('covers every name that its certificate can have, however the parts are chosen', () => {
    const name = fc.constantFrom(
      'a',
      'B',
      'a.example',
      'x.lan',
      '10.0.0.1',
      'fd00::1',
      'localhost',
      'teleport.cluster.local',
    );
    const place = fc.constantFrom('', 'a:1', 'B.lan:2', '10.0.0.1:3', '[FD00::1]:4');
    fc.assert(
      fc.property(name, place, place, fc.array(name), (nodename, address, publicAddress, certified) => {
        const reachability = { status: 'direct', address } as const;
        const said = withCertifiedNames({ ...host, nodename, reachability, publicAddress }, certified);
        const held = namesHeldBy(said, 'example');
        for (const one of certifiedAs(nodename, certified, 'example'))
          expect(held.has(one) || one === 'localhost' || isApiName(one)).toBe(true);
      }),
    );
  });
});
