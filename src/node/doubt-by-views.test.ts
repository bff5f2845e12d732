import { describe, expect, it } from 'vitest';
import { fakeWorld } from '../api/testing.ts';
import { hour } from '../base/time.ts';
import { authorityStream, hostStream } from '../domain/streams.ts';
import { issueHostSshCertificate } from '../pki/host-certificate.ts';
import { generateEd25519 } from '../pki/key-pair.ts';
import { fromAuthorizedKeyLine, publicKeyOf, toAuthorizedKeyLine } from '../pki/ssh-key.ts';
import type { Preamble } from '../ssh/proxy-preamble.ts';
import { clientSigner, newChallenge } from '../ssh/signed-client.ts';
import { authoritiesView } from '../views/authorities.ts';
import { hostsView } from '../views/hosts.ts';
import { project } from '../views/testing.ts';
import { doubtByViews } from './doubt-by-views.ts';

const idOf = (n: number): string => `00000000-0000-4000-8000-00000000000${n}`;
const [proxyId, nodeId, otherId] = [idOf(1), idOf(2), idOf(3)];
const [authority, next, key] = [generateEd25519(), generateEd25519(), generateEd25519()];
const world = fakeWorld();
const at = world.now();
const client = { host: '203.0.113.9', port: 4022 };

const keyOf = (one: typeof authority, keyId: string) => ({
  keyId,
  sshPublicKey: toAuthorizedKeyLine(publicKeyOf(one).blob),
  tlsCertificatePem: '',
  activeFrom: at,
});
/** What the node has folded: which authorities are trusted, and who is a proxy. */
function seenBy(trusted: readonly (typeof authority)[], proxies: readonly string[]) {
  const keys = trusted.map((one, i) => keyOf(one, `k${i}`));
  const authorities = project(authoritiesView, [
    [
      authorityStream('host'),
      { type: 'authority.created', data: { type: 'host', clusterName: 'example', keys } },
    ],
  ]);
  const hosts = project(
    hostsView,
    [proxyId, otherId].map((hostId, i) => [
      hostStream(hostId),
      {
        type: 'host.joined',
        data: {
          host: {
            hostId,
            role: proxies.includes(hostId) ? 'Proxy' : 'Node',
            nodename: `h${i}`,
            address: '127.0.0.1:1',
            publicAddress: '',
            sshPublicAddress: '',
            labels: {},
            version: '4.5.0',
          },
        },
      },
    ]),
  );
  const views = { authorities: { state: () => authorities }, hosts: { state: () => hosts } };
  return doubtByViews(
    views as Parameters<typeof doubtByViews>[0],
    { hostId: nodeId, clusterName: 'example' },
    world,
  );
}

const challenge = newChallenge();
function signedBy(
  hostId: string,
  wish: { role?: string; ca?: typeof authority; now?: string } = {},
): Preamble {
  const line = issueHostSshCertificate({
    ...{ publicKey: publicKeyOf(key), ca: authority, hostId, nodename: 'p', clusterName: 'example' },
    ...{ role: 'Proxy', additionalPrincipals: [], now: at },
    ...wish,
  });
  return clientSigner(key, fromAuthorizedKeyLine(line))({ challenge, hostId: nodeId, client });
}

describe('who a client is', () => {
  const doubt = seenBy([authority], [proxyId]);
  it('is what a proxy of the cluster signs for this node and this connection', () => {
    expect(doubt(signedBy(proxyId), challenge)).toBeUndefined();
    expect(doubt(signedBy(proxyId), newChallenge())).toMatch(/^it is signed for another connection/);
  });
  it.each([
    // Any account of this machine, or of another, can reach the port; where it comes from makes nobody a
    // proxy.
    ['nobody', { client, proof: undefined }, /^it is not signed$/],
    ['a node', signedBy(proxyId, { role: 'Node' }), /in role "Node"/],
    ['a host that the log does not have as a proxy', signedBy(otherId), /does not know as a proxy/],
    ['a host that the log does not have', signedBy(nodeId), /does not know as a proxy/],
    ['a proxy of another authority', signedBy(proxyId, { ca: next }), /^its certificate: /],
    [
      'a proxy whose certificate does not hold yet',
      signedBy(proxyId, { now: '2026-06-01T00:00:00.000Z' }),
      /valid/,
    ],
  ])('is not what %s signs', (_who, preamble, why) => {
    expect(doubt(preamble, challenge)).toMatch(why);
  });
  it('follows the log: an authority that is added counts, one that was taken away does not', () => {
    const ofNext = signedBy(proxyId, { ca: next });
    expect(seenBy([authority, next], [proxyId])(ofNext, challenge)).toBeUndefined();
    expect(seenBy([next], [proxyId])(signedBy(proxyId), challenge)).toMatch(/^its certificate: /);
    expect(seenBy([authority], [])(signedBy(proxyId), challenge)).toMatch(/does not know as a proxy/);
  });
  it('is judged by the clock of each moment', () => {
    const soon = signedBy(proxyId, { now: '2026-01-01T00:30:00.000Z' });
    expect(doubt(soon, challenge)).toMatch(/not-yet-valid/);
    world.advance(hour);
    expect(doubt(soon, challenge)).toBeUndefined();
  });
});
