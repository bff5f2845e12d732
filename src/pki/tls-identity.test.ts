import { createPublicKey, X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyOf, testNow } from './testing.ts';
import {
  issueHostTlsCertificate,
  issueUserTlsCertificate,
  tlsIdentityOf,
  type HostTlsRequest,
  type TlsIdentity,
} from './tls-identity.ts';
import { oids, type NameAttribute } from './x509-der.ts';
import { createCaCertificate, issueLeaf, subjectAttributes } from './x509.ts';

const caKey = keyOf('p256', 'ca');
const caPem = createCaCertificate({ clusterName: 'example', privateKey: caKey, now: testNow });
const publicKey = createPublicKey(keyOf('ed25519'));
const signing = { caPem, caKey, publicKey, now: testNow };
const alice: TlsIdentity = {
  username: 'alice@example.com',
  groups: ['admin', 'dev'],
  principals: ['root', 'bob'],
  routeToCluster: 'example',
  traits: { logins: ['root'], kubernetes_users: ['al', 'älice'], kubernetes_groups: ['masters'] },
};
const userOf = (identity: TlsIdentity): X509Certificate =>
  new X509Certificate(issueUserTlsCertificate({ ...signing, identity, ttlSeconds: 3600 }));
/** A certificate of the authority with just these attributes. */
const subject = (...attributes: [string, string][]): X509Certificate =>
  new X509Certificate(
    issueLeaf({
      ...signing,
      subject: attributes.map(([oid, value]): NameAttribute => ({ oid, value })),
      names: [],
      ttlSeconds: 3600,
    }),
  );
const named: [string, string] = [oids.commonName, 'alice'];
const role: [string, string] = [oids.organization, 'admin'];

describe('the TLS certificate of a person', () => {
  it('is laid out as 4.4 does', () => {
    expect(subjectAttributes(userOf(alice)).map(({ oid, value }) => [oid, value])).toEqual([
      [oids.organization, 'admin'],
      [oids.organization, 'dev'],
      [oids.locality, 'root'],
      [oids.locality, 'bob'],
      [oids.province, 'masters'],
      [oids.street, 'example'],
      [oids.postalCode, JSON.stringify(alice.traits)],
      [oids.commonName, 'alice@example.com'],
      ['1.3.9999.1.1', 'al'],
      ['1.3.9999.1.1', 'älice'],
      ['1.3.9999.1.2', 'masters'],
    ]);
    expect(userOf(alice).subjectAltName).toBeUndefined();
  });

  it('gives back who it was issued for, from DER as well', () => {
    expect(tlsIdentityOf(userOf(alice))).toEqual(alice);
    expect(tlsIdentityOf(userOf(alice).raw)).toEqual(alice);
    expect(tlsIdentityOf(userOf({ ...alice, lifeId: 'e1' }))).toEqual({ ...alice, lifeId: 'e1' });
  });

  it('gives back any identity, without mixing it up', () => {
    const text = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
      .filter((s) => !/[\x00-\x1f\x7f-\x9f]/.test(s) && s.isWellFormed());
    const identity = fc.record({
      username: text,
      groups: fc.array(text, { minLength: 1, maxLength: 4 }),
      principals: fc.array(text, { maxLength: 4 }),
      routeToCluster: fc.oneof(fc.constant(''), text),
      loggedInAt: fc.constant('2026-01-01T08:00:00.000Z'),
      traits: fc
        .dictionary(
          fc.string({ maxLength: 8 }).filter((k) => k !== '__proto__'),
          fc.array(
            fc.string({ maxLength: 12 }).filter((s) => !/[\x7f-\x9f]/.test(s)),
            { maxLength: 3 },
          ),
        )
        .filter((traits) => !('kubernetes_users' in traits || 'kubernetes_groups' in traits)),
    });
    fc.assert(
      fc.property(identity, (one) => {
        expect(tlsIdentityOf(userOf(one))).toEqual(one);
      }),
      { numRuns: 100 },
    );
  });

  it.each<[string, Partial<TlsIdentity>]>([
    ['without a name', { username: '' }],
    ['without a role', { groups: [] }],
    ['with an empty role', { groups: ['admin', ''] }],
    ['with a newline in its name', { username: 'a\nO=admin' }],
    ['with NUL in a login', { principals: ['root\0'] }],
  ])('is not issued %s', (_name, wish) => {
    expect(() => userOf({ ...alice, ...wish })).toThrow(
      expect.objectContaining({ code: 'bad_request' }) as Error,
    );
  });
});

describe('the TLS certificate of a machine', () => {
  const hostOf = (wish: Partial<HostTlsRequest> = {}): X509Certificate =>
    new X509Certificate(
      issueHostTlsCertificate({
        ...signing,
        hostId: 'id',
        clusterName: 'example',
        role: 'Node',
        additionalPrincipals: ['web1', '10.0.0.1'],
        ...wish,
      }),
    );

  it('names it by its id and role', () => {
    expect(subjectAttributes(hostOf()).map(({ oid, value }) => [oid, value])).toEqual([
      [oids.organization, 'Node'],
      [oids.street, ''],
      [oids.postalCode, 'null'],
      [oids.commonName, 'id.example'],
    ]);
    expect(tlsIdentityOf(hostOf())).toEqual({
      username: 'id.example',
      groups: ['Node'],
      principals: [],
      routeToCluster: '',
      traits: {},
    });
  });

  it('holds for its names and addresses, each once', () => {
    expect(hostOf({ additionalPrincipals: ['web1', '10.0.0.1', 'web1'] }).subjectAltName).toBe(
      'DNS:web1, IP Address:10.0.0.1',
    );
  });

  it.each(['Auth', 'Admin', 'Proxy'])('of role %s is also known as a server of the API', (one) => {
    expect(hostOf({ role: one, additionalPrincipals: [] }).subjectAltName).toBe(
      'DNS:*.teleport.cluster.local, DNS:teleport.cluster.local',
    );
  });

  it('leaves out names that X.509 cannot express, and has none where none is left', () => {
    expect(hostOf({ additionalPrincipals: ['bad name', 'fe80::1%eth0'] }).subjectAltName).toBeUndefined();
  });

  it('ends with its authority at the latest', () => {
    expect(hostOf().validToDate).toEqual(new X509Certificate(caPem).validToDate);
  });
});

describe('reading the subject of a TLS certificate', () => {
  it('needs no more than a name and a role', () => {
    expect(tlsIdentityOf(subject(named, role))).toEqual({
      username: 'alice',
      groups: ['admin'],
      principals: [],
      routeToCluster: '',
      traits: {},
    });
  });

  it('takes the lists that 4.4 writes as null', () => {
    const traits: [string, string] = [oids.postalCode, '{"kubernetes_groups":null,"logins":["root"]}'];
    expect(tlsIdentityOf(subject(named, role, traits)).traits).toEqual({
      kubernetes_groups: [],
      logins: ['root'],
    });
  });

  it.each<[string, [string, string][]]>([
    ['no name', [role]],
    ['an empty name', [[oids.commonName, ''], role]],
    ['two names', [named, [oids.commonName, 'bob'], role]],
    ['no role', [named]],
    ['an empty role', [named, role, [oids.organization, '']]],
    ['two routes', [named, role, [oids.street, 'a'], [oids.street, 'b']]],
    ['traits twice', [named, role, [oids.postalCode, '{}'], [oids.postalCode, '{}']]],
    ['traits that are not JSON', [named, role, [oids.postalCode, '{']]],
    ['traits that are no lists', [named, role, [oids.postalCode, '{"logins":"root"}']]],
    ['two lives', [named, role, ['1.3.9999.20.1', 'a'], ['1.3.9999.20.1', 'b']]],
    ['a restriction to a usage', [named, role, [oids.organizationalUnit, 'usage:kube']]],
  ])('refuses one with %s', (_name, attributes) => {
    expect(() => tlsIdentityOf(subject(...attributes))).toThrow(
      expect.objectContaining({ code: 'access_denied' }) as Error,
    );
  });

  it('refuses an authority, and what is no certificate', () => {
    for (const input of [new X509Certificate(caPem), Buffer.from('junk'), Buffer.alloc(0)])
      expect(() => tlsIdentityOf(input)).toThrow(expect.objectContaining({ code: 'access_denied' }) as Error);
  });
});
