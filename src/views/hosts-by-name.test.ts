import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HostInfo } from '../domain/host-info.ts';
import type { Fact, StreamName } from '../log/event.ts';
import { hostsByName } from './hosts-by-name.ts';
import { allHosts, hostsView, type HostsState } from './hosts.ts';
import { recordedAt } from './testing.ts';

const idOf = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
const streamOf = (n: number): StreamName => `host-${idOf(n)}`;
const roles = ['Node', 'Proxy'] as const;
const record = (n: number, role: string, name: string): Fact => ({
  type: 'host.changed',
  data: {
    host: {
      ...{ hostId: idOf(n), role, nodename: name, address: '10.0.0.1:3022', publicAddress: '' },
      ...{ sshPublicAddress: '', labels: {}, version: '1' },
    },
  },
});
const left = (role: string): Fact => ({ type: 'host.left', data: { role, reason: 'x' } });
type Event = readonly [StreamName, Fact];
const folded = (events: readonly Event[], from: HostsState = hostsView.initial): HostsState =>
  events.reduce((state, [stream, fact], i) => hostsView.apply(state, recordedAt(i + 1, stream, fact)), from);
const namesOf = ({ nodename }: HostInfo): string[] => [nodename, `${nodename}.example`];

describe('hosts by their names', () => {
  it('are those that hold a name now, whatever they were called when it was asked last', () => {
    const event = fc
      .tuple(fc.nat({ max: 40 }), fc.constantFrom(...roles), fc.constantFrom('a', 'b', 'c', undefined))
      .map(([n, role, name]): Event => [
        `host-h${n}`,
        name === undefined ? left(role) : record(n, role, name),
      ]);
    fc.assert(
      fc.property(fc.array(fc.array(event, { maxLength: 60 }), { maxLength: 6 }), (rounds) => {
        const named = hostsByName(namesOf);
        let state = hostsView.initial;
        for (const round of rounds) {
          state = folded(round, state);
          for (const name of ['a', 'b.example', 'd']) {
            const held = allHosts(state, roles).filter((host) => namesOf(host).includes(name));
            expect(named(state, name)).toEqual(new Set(held));
          }
        }
      }),
    );
  });

  it('cost a look at those that have changed since', () => {
    let looks = 0;
    const named = hostsByName((host) => {
      looks++;
      return namesOf(host);
    });
    const many = folded(
      Array.from({ length: 1000 }, (_, n): Event => [streamOf(n), record(n, 'Node', `n${n}`)]),
    );
    expect(named(many, 'n7').size).toBe(1);
    looks = 0;
    const renamed = folded([[streamOf(7), record(7, 'Node', 'other')]], many);
    expect([named(renamed, 'n7').size, named(renamed, 'other').size]).toEqual([0, 1]);
    expect(looks).toBe(2);
  });
});
