import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { issueHostSshCertificate } from '../pki/host-certificate.ts';
import { generateEd25519 } from '../pki/key-pair.ts';
import { fromAuthorizedKeyLine, publicKeyOf } from '../pki/ssh-key.ts';
import { clientSigner, doubtAbout, newChallenge, type Statement } from './signed-client.ts';

const proxyId = '00000000-0000-4000-8000-000000000001';
const nodeId = '00000000-0000-4000-8000-000000000002';
const [authority, otherAuthority, proxyKey] = [generateEd25519(), generateEd25519(), generateEd25519()];
const at = '2026-01-01T00:00:00.000Z';
const client = { host: '203.0.113.9', port: 4022 };
const statement: Statement = { challenge: newChallenge(), hostId: nodeId, client };

const certificateOf = (wish: Partial<Parameters<typeof issueHostSshCertificate>[0]> = {}): Buffer =>
  fromAuthorizedKeyLine(
    issueHostSshCertificate({
      publicKey: publicKeyOf(proxyKey),
      ca: authority,
      hostId: proxyId,
      nodename: 'p1',
      clusterName: 'example',
      role: 'Proxy',
      additionalPrincipals: [],
      now: at,
      ...wish,
    }),
  );
const sign = (wish?: Parameters<typeof certificateOf>[0], key = proxyKey) =>
  clientSigner(key, certificateOf(wish));
const policy = {
  hostAuthorities: [publicKeyOf(authority).blob],
  clusterName: 'example',
  now: BigInt(Date.parse(at) / 1000),
  isProxy: (id: string) => id === proxyId,
};

describe('what a proxy signs of its client', () => {
  it('is believed on the connection and by the node that it is for', () => {
    expect(doubtAbout(sign()(statement), statement, policy)).toBeUndefined();
    const v6 = { ...statement, client: { host: '2001:db8::1', port: 1 } };
    expect(doubtAbout(sign()(v6), v6, policy)).toBeUndefined();
  });

  it.each([
    ['another connection', { challenge: newChallenge() }],
    ['another node', { hostId: proxyId }],
  ])('is good for no other: %s', (_what, told) => {
    expect(doubtAbout(sign()(statement), { ...statement, ...told }, policy)).toMatch(
      /^it is signed for another/,
    );
  });

  it('may name the first session, for that connection and that id alone', () => {
    const session = '11111111-2222-4333-8444-555555555555';
    const named = sign()({ ...statement, session });
    expect(doubtAbout(named, statement, policy)).toBeUndefined();
    const { proof } = named;
    const { proof: elsewhere } = sign()({ ...statement, session, challenge: newChallenge() });
    if (proof?.session === undefined || elsewhere?.session === undefined) throw new Error('they are signed');
    for (const forged of [
      { ...proof.session, id: session.replace('1', '2') },
      { ...proof.session, signature: proof.signature },
      elsewhere.session,
    ])
      expect(doubtAbout({ client, proof: { ...proof, session: forged } }, statement, policy)).toMatch(
        /^the id of its session is signed for another/,
      );
  });

  it('may name the balancer, for that connection, client and balancer alone', () => {
    const balancer = { host: '192.0.2.5', port: 4711 };
    const named = sign()({ ...statement, balancer });
    expect(doubtAbout(named, statement, policy)).toBeUndefined();
    const { proof } = named;
    const others = [
      { ...statement, balancer, challenge: newChallenge() },
      { ...statement, balancer, client: { host: '203.0.113.10', port: 4022 } },
    ].map((told) => sign()(told).proof?.balancer);
    if (proof?.balancer === undefined) throw new Error('it is signed');
    for (const forged of [
      { ...proof.balancer, address: { host: '192.0.2.5', port: 4712 } },
      { ...proof.balancer, signature: proof.signature },
      ...others,
    ])
      expect(
        doubtAbout({ client, proof: { ...proof, balancer: forged as never } }, statement, policy),
      ).toMatch(/^its balancer is signed for another/);
  });

  it('holds for no other address', () => {
    const forged = { ...sign()(statement), client: { host: '203.0.113.10', port: 4022 } };
    expect(doubtAbout(forged, statement, policy)).toMatch(/another address$/);
  });

  it.each([
    ['by a node', sign({ role: 'Node' }), /in role "Node"$/],
    ['by an auth server', sign({ role: 'Auth' }), /in role "Auth"$/],
    ['under another authority', sign({ ca: otherAuthority }), /unknown-ca/],
    ['in another cluster', sign({ clusterName: 'leaf' }), /another cluster/],
    ['by a proxy that is none any more', sign({ hostId: nodeId }), /does not know as a proxy/],
    ['by a key that is not certified', sign({}, generateEd25519()), /^it is signed for another/],
  ])('is not believed when it is signed %s', (_what, signer, why) => {
    expect(doubtAbout(signer(statement), statement, policy)).toMatch(why);
  });

  it('is not believed before its certificate holds, nor unsigned', () => {
    const early = { ...policy, now: policy.now - 86_400n };
    expect(doubtAbout(sign()(statement), statement, early)).toMatch(/not-yet-valid/);
    expect(doubtAbout({ client, proof: undefined }, statement, policy)).toBe('it is not signed');
  });

  it('is refused with a reason, never an exception, when any byte of it is another', () => {
    const good = sign()(statement);
    fc.assert(
      fc.property(
        fc.constantFrom('certificate' as const, 'signature' as const),
        fc.nat(2_000),
        fc.integer({ min: 1, max: 255 }),
        (field, where, change) => {
          if (good.proof === undefined) throw new Error('it is signed');
          const bytes = Buffer.from(good.proof[field]);
          const at = where % bytes.length;
          bytes[at] = (bytes[at] ?? 0) ^ change;
          const doubt = doubtAbout({ ...good, proof: { ...good.proof, [field]: bytes } }, statement, policy);
          expect(doubt).toEqual(expect.any(String));
        },
      ),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (noise) => {
        const bytes = Buffer.from(noise);
        const proof = { certificate: bytes, signature: bytes };
        expect(doubtAbout({ client, proof }, statement, policy)).toEqual(expect.any(String));
      }),
    );
  });
});
