import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allHosts, hostsView, type HostsState, nameSince } from '../../views/hosts.ts';
import { recordedAt } from '../../views/testing.ts';
import { nodeIndexer } from './node-index.ts';
import { indexNodes } from './node-index-testing.ts';

const idOf = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
const names = ['a', 'A', 'b'] as const;
const addresses = ['10.0.0.1:3022', '10.0.0.2:3022', 'b.example:1', 'nonsense'] as const;

const step = fc.record({
  n: fc.nat(40),
  leaves: fc.boolean(),
  role: fc.constantFrom('Node', 'Node', 'Proxy'),
  nodename: fc.constantFrom(...names),
  address: fc.constantFrom(...addresses),
});
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

function after(hosts: HostsState, { n, leaves, role, nodename, address }: Step, at: number): HostsState {
  const record = { hostId: idOf(n), role, nodename, address, publicAddress: '', sshPublicAddress: '' };
  const fact = leaves
    ? { type: 'host.left', data: { role, reason: 'x' } }
    : { type: 'host.changed', data: { host: { ...record, labels: {}, version: '1' } } };
  return hostsView.apply(hosts, recordedAt(at + 1, `host-${idOf(n)}`, fact));
}

describe('the index of nodes', () => {
  it('that changes with them finds what one of them all would find', () => {
    fc.assert(
      fc.property(fc.array(fc.array(step, { maxLength: 30 }), { maxLength: 5 }), (rounds) => {
        const indexOf = nodeIndexer();
        let hosts: HostsState = hostsView.initial;
        for (const round of rounds) {
          hosts = round.reduce(after, hosts);
          const changed = indexOf(hosts);
          const whole = indexNodes(allHosts(hosts, ['Node']), (id) => nameSince(hosts, id, 'Node'));
          for (let n = 0; n <= 40; n++) expect(changed.byId(idOf(n))).toEqual(whole.byId(idOf(n)));
          for (const name of names) expect(changed.byName(name)).toEqual(whole.byName(name));
          for (const host of ['10.0.0.1', '10.0.0.2', 'B.example', 'nonsense'])
            expect(changed.byAddress(host)).toEqual(whole.byAddress(host));
        }
      }),
    );
  });
});
