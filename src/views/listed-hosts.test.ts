import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { roleSpec } from '../domain/role-spec.ts';
import { hostsView, type HostsState } from './hosts.ts';
import { listedHosts, type Page } from './listed-hosts.ts';
import { presenceViewBy, type PresenceState } from './presence.ts';
import { recordedAt } from './testing.ts';

const at = '2026-01-01T00:00:00.000Z';
const idOf = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
const presenceView = presenceViewBy({ now: () => at, monotonic: () => 0 });

interface Known {
  readonly hosts: HostsState;
  readonly presence: PresenceState;
}
/** Nodes by names, in the order in which they had them; those with an odd number are of another team. */
function knownOf(names: readonly string[], alive: (n: number) => boolean = () => true): Known {
  const hosts = names.reduce<HostsState>((state, nodename, n) => {
    const host = {
      ...{ hostId: idOf(n), role: 'Node', nodename, address: '10.0.0.1:3022', publicAddress: '' },
      ...{ sshPublicAddress: '', labels: { team: n % 2 === 0 ? 'a' : 'b' }, version: '1' },
    };
    // Ids say nothing of who came first.
    return hostsView.apply(
      state,
      recordedAt(((n * 7) % 101) + 1, `host-${idOf(n)}`, { type: 'host.joined', data: { host } }),
    );
  }, hostsView.initial);
  const renewed = names
    .map((_, n) => ({ hostId: idOf(n), role: 'Node', seenAt: at, ttlSeconds: 60 }))
    .filter((_, n) => alive(n));
  const presence =
    renewed.length === 0
      ? presenceView.initial
      : presenceView.apply(
          presenceView.initial,
          recordedAt(1, `presence-${idOf(0)}`, { type: 'hosts.renewed', data: { hosts: renewed } }),
        );
  return { hosts, presence };
}
const listing = { role: 'Node', labels: {}, subject: undefined, atMs: 0 } as const;
const none = (): undefined => undefined;
async function inPages(known: Known, limit: number): Promise<readonly string[][]> {
  const pages: string[][] = [];
  for (let page: Page = { limit }; ;) {
    const { hosts, next } = await listedHosts(known, listing, page, none);
    pages.push(hosts.map(({ hostId }) => hostId));
    if (next === undefined) return pages;
    page = { limit, after: next };
  }
}
const manyNames = fc.array(fc.constantFrom('a', 'b', 'b', 'c', 'd.example'), { maxLength: 40 });

describe('a list of hosts', () => {
  it('has those that are alive, by name, then by who had it first', async () => {
    await fc.assert(
      fc.asyncProperty(manyNames, fc.nat(5), async (names, dead) => {
        const alive = (n: number): boolean => n % 6 !== dead;
        const expected = names
          .map((name, n) => ({ name, n, position: ((n * 7) % 101) + 1 }))
          .filter(({ n }) => alive(n))
          .sort((a, b) => (a.name === b.name ? a.position - b.position : a.name < b.name ? -1 : 1));
        const { hosts, next } = await listedHosts(knownOf(names, alive), listing, {}, none);
        expect([hosts.map(({ hostId }) => hostId), next]).toEqual([
          expected.map(({ n }) => idOf(n)),
          undefined,
        ]);
      }),
    );
  });

  it('is the same in pages, none of which is empty but that of an empty list', async () => {
    await fc.assert(
      fc.asyncProperty(manyNames, fc.integer({ min: 1, max: 9 }), async (names, limit) => {
        const known = knownOf(names);
        const pages = await inPages(known, limit);
        expect(pages.flat()).toEqual((await inPages(known, 1_000)).flat());
        expect(pages.every((page) => page.length === limit || page === pages.at(-1))).toBe(true);
        expect(pages.slice(1).every((page) => page.length > 0)).toBe(true);
      }),
    );
  });

  it('goes on where it was when hosts have left meanwhile', async () => {
    const { next } = await listedHosts(knownOf(['a', 'b', 'c', 'd']), listing, { limit: 2 }, none);
    const later = await listedHosts(
      knownOf(['a', 'b', 'c', 'd'], (n) => n !== 1),
      listing,
      { limit: 2, after: next },
      none,
    );
    expect(later.hosts.map(({ nodename }) => nodename)).toEqual(['c', 'd']);
  });

  it.each(['', 'x', '1 id', '-1 id name', '99999999999999999999 id name'])(
    'has no page after %j',
    async (after) => {
      await expect(listedHosts(knownOf(['a']), listing, { after }, none)).rejects.toMatchObject({
        code: 'bad_request',
      });
    },
  );

  it('shows a person what the roles allow, and lets others have their turns', async () => {
    const role = roleSpec.parse({
      name: 'a',
      options: {
        ...{ maxSessionTtlSeconds: 60, forwardAgent: false, portForwarding: false, maxSessions: 0 },
        ...{ disconnectExpiredCert: false, clientIdleTimeoutSeconds: 0 },
      },
      allow: { logins: ['root'], nodeLabels: { team: ['a'] } },
      deny: { logins: [], nodeLabels: {} },
    });
    const subject = { roles: [role], traits: {} };
    let [asked, waited] = [0, 0];
    const due = (): Promise<void> | undefined => {
      asked++;
      return asked % 2 === 0
        ? Promise.resolve().then(() => {
            waited++;
          })
        : undefined;
    };
    const { hosts } = await listedHosts(knownOf(['a', 'b', 'c', 'd']), { ...listing, subject }, {}, due);
    expect(hosts.map(({ nodename }) => nodename)).toEqual(['a', 'c']);
    expect([asked, waited]).toEqual([4, 2]);
  });
});
