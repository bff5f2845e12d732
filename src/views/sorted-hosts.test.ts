import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HostsState } from './hosts.ts';
import { allHosts, hostsView } from './hosts.ts';
import { byName, hostsInRole } from './sorted-hosts.ts';
import { recordedAt } from './testing.ts';

const idOf = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
type Step = readonly [n: number, nodename: string | null, role: 'Node' | 'Proxy'];

const after = (hosts: HostsState, [n, nodename, role]: Step, at: number): HostsState => {
  const host = {
    ...{ hostId: idOf(n), role, nodename: nodename ?? '', address: '10.0.0.1:3022', publicAddress: '' },
    ...{ sshPublicAddress: '', labels: {}, version: '1' },
  };
  const fact =
    nodename === null
      ? { type: 'host.left', data: { role, reason: 'x' } }
      : { type: 'host.changed', data: { host } };
  return hostsView.apply(hosts, recordedAt(at + 1, `host-${idOf(n)}`, fact));
};
const step: fc.Arbitrary<Step> = fc.tuple(
  fc.nat(90),
  fc.option(fc.constantFrom('a', 'b', 'b', 'c'), { nil: null }),
  fc.constantFrom('Node', 'Node', 'Proxy'),
);

describe('the hosts in a role', () => {
  it('are by name, then id, whichever states were asked before, few or many changes away', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.array(fc.nat(200)), (steps, asked) => {
        const states: HostsState[] = [hostsView.initial];
        for (const [at, one] of steps.entries())
          states.push(after(states.at(-1) ?? hostsView.initial, one, at));
        for (const at of asked) {
          const state = states[at % states.length] ?? hostsView.initial;
          for (const role of ['Node', 'Proxy'] as const)
            expect(hostsInRole(state, role)).toEqual(allHosts(state, [role]).toSorted(byName));
        }
      }),
    );
  });

  it('are the same list as long as they are the same', () => {
    const one = after(hostsView.initial, [1, 'a', 'Node'], 0);
    const two = after(one, [2, 'b', 'Proxy'], 1);
    expect(hostsInRole(two, 'Node')).toBe(hostsInRole(one, 'Node'));
    const three = after(two, [3, '0', 'Node'], 2);
    expect(hostsInRole(three, 'Node')).not.toBe(hostsInRole(two, 'Node'));
    expect(hostsInRole(two, 'Node')).toHaveLength(1);
  });
});
