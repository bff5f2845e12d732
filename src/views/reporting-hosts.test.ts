import { describe, expect, it } from 'vitest';
import type { SystemRole } from '../domain/host-info.ts';
import type { Adopted } from '../domain/rotation-mark.ts';
import { hostStream } from '../domain/streams.ts';
import { hostsView } from './hosts.ts';
import { presenceViewBy } from './presence.ts';
import { type HostWithMarks, reportingHosts } from './reporting-hosts.ts';
import { recordedAt } from './testing.ts';

const at = '2026-01-01T00:00:00.000Z';
const idOf = (n: number): string => `00000000-0000-4000-8000-00000000000${n}`;

interface Said {
  readonly role?: SystemRole;
  readonly nodename?: string;
  readonly understands?: number;
  readonly adopted?: Adopted;
  readonly trouble?: string;
  readonly leaving?: boolean;
  /** Default: ten minutes. */
  readonly ttlSeconds?: number;
  /** In no presence. */
  readonly isSilent?: boolean;
}

/** Hosts with the ids 1, 2, … that said this at 0, as they are seen at `ms`. */
function reporting(said: readonly Said[], ms = 0): readonly HostWithMarks[] {
  let now = 0;
  const clock = { now: () => at, monotonic: () => now };
  const presence = presenceViewBy(clock);
  const hosts = said.reduce((state, { role = 'Node', nodename = 'n', understands }, i) => {
    const host = {
      ...{ hostId: idOf(i + 1), role, nodename, address: `10.0.0.${i + 1}:3022`, publicAddress: '' },
      ...{ sshPublicAddress: '', labels: {}, version: '4.6.0', ...(understands && { understands }) },
    };
    return hostsView.apply(
      state,
      recordedAt(i + 1, hostStream(host.hostId), { type: 'host.joined', data: { host } }),
    );
  }, hostsView.initial);
  const renewed = said.flatMap(({ role = 'Node', ttlSeconds = 600, isSilent, ...one }, i) => {
    const { adopted, trouble, leaving } = one;
    const more = { ...(adopted && { adopted }), ...(trouble && { trouble }), ...(leaving && { leaving }) };
    return isSilent === true ? [] : [{ hostId: idOf(i + 1), role, seenAt: at, ttlSeconds, ...more }];
  });
  const state = presence.apply(
    presence.initial,
    recordedAt(1, 'presence-x', { type: 'hosts.renewed', data: { hosts: renewed } }),
  );
  now = ms;
  return reportingHosts(hosts, state, clock);
}
const ids = (hosts: readonly HostWithMarks[]): string => hosts.map(({ hostId }) => hostId.at(-1)).join('');

describe('hosts that are asked how far they follow', () => {
  it('are those that are alive, and have not said that they stop', () => {
    const said = [{}, { isSilent: true }, { leaving: true }, { ttlSeconds: 60 }];
    expect(ids(reporting(said, 59_999))).toBe('14');
    expect(ids(reporting(said, 60_000))).toBe('1');
  });

  it('are auth servers, proxies and nodes, by name and then by id', () => {
    const said = [
      { nodename: 'b' },
      { nodename: 'c', role: 'Auth' },
      { nodename: 'a', role: 'Proxy' },
      { nodename: 'b' },
      { nodename: 'a', role: 'Admin' },
    ] as const;
    expect(ids(reporting(said))).toBe('3142');
  });

  it('say where they are, what they understand, what they have adopted and what keeps them', () => {
    const adopted = ['12345678:init', '12345678:standby'] as const;
    const [one, other] = reporting([{ understands: 2, adopted, trouble: 'the disk is full' }, {}]);
    expect(one).toEqual({
      ...{ hostId: idOf(1), role: 'Node', nodename: 'n', address: '10.0.0.1:3022', version: '4.6.0' },
      ...{ understands: 2, lastSeenAt: at, trouble: 'the disk is full' },
      marks: { user: '12345678:init', host: '12345678:standby' },
    });
    expect(other).toMatchObject({ understands: undefined, trouble: undefined, marks: {} });
  });
});
