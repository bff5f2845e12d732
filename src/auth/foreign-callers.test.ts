import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Caller } from '../api/operation.ts';
import { hour, plusMs } from '../base/time.ts';
import { generateP256 } from '../pki/key-pair.ts';
import { issueHostTlsCertificate, issueUserTlsCertificate, type TlsIdentity } from '../pki/tls-identity.ts';
import { createCaCertificate } from '../pki/x509.ts';
import type { PresentedForeigner } from '../views/foreign-person.ts';
import { type CallerFacts, identifyCallers } from './callers.ts';

const at = '2026-01-01T00:00:00.000Z';
const hostId = '00000000-0000-4000-8000-0000000000b1';
const refusal = expect.objectContaining({
  ...{ code: 'access_denied', message: 'access denied: the client certificate is not valid here' },
}) as Error;

interface Authority {
  readonly caPem: string;
  readonly caKey: KeyObject;
}
function authorityOf(clusterName: string): Authority {
  const caKey = generateP256();
  return { caPem: createCaCertificate({ clusterName, privateKey: caKey, now: at }), caKey };
}
const [own, root] = [authorityOf('example'), authorityOf('root')];
const publicKey = createPublicKey(generateP256());

const personOf = (identity: Partial<TlsIdentity> = {}): string =>
  issueUserTlsCertificate({
    ...{ ...root, publicKey, now: at, serial: 7n, ttlSeconds: 3600 },
    identity: {
      ...{ username: 'alice', groups: ['dev'], principals: ['ubuntu'], routeToCluster: '', traits: {} },
      ...identity,
    },
  });
const hostOf = (): string =>
  issueHostTlsCertificate({
    ...{
      ...root,
      publicKey,
      hostId,
      clusterName: 'example',
      role: 'Node',
      additionalPrincipals: [],
      now: at,
    },
  });

/** A connection as TLS leaves it when it has looked at the certificate; of no network. */
const connection = (pem: string): TLSSocket =>
  Object.create(TLSSocket.prototype, {
    getPeerX509Certificate: { value: () => new X509Certificate(pem) },
    remoteAddress: { value: '10.0.0.7' },
    remotePort: { value: 4711 },
    destroyed: { value: false },
  }) as TLSSocket;

let now: string;
let trusted: readonly string[];
let mapped: (presented: PresentedForeigner) => readonly string[];
let locked: CallerFacts['lockedBy'];
let callerOf: (socket: TLSSocket) => Caller;
beforeEach(() => {
  now = at;
  trusted = [root.caPem];
  mapped = () => ['guest'];
  locked = () => undefined;
  callerOf = identifyCallers({
    now: () => now,
    clusterName: () => 'example',
    authorities: () => ({ user: [own.caPem], host: [own.caPem] }),
    withdrawn: () => [],
    activeUser: () => expect.unreachable('nobody asks for a user of that name here'),
    foreignAuthorities: () => trusted,
    foreignUser: (issuerPem, presented) =>
      issuerPem === root.caPem
        ? { username: `root/${presented.username}`, roles: mapped(presented), traits: {} }
        : undefined,
    lockedBy: (subject) => locked(subject),
  });
});

describe('a certificate of another cluster', () => {
  it('is of nobody while that cluster is not trusted, and at each call once it is not any more', () => {
    const open = connection(personOf());
    trusted = [];
    expect(() => callerOf(open)).toThrow(refusal);
    trusted = [root.caPem];
    expect(callerOf(open)).toEqual({
      ...{ kind: 'foreign', username: 'root/alice', roles: ['guest'], traits: {}, address: '10.0.0.7:4711' },
    });
    trusted = [];
    expect(() => callerOf(open)).toThrow(refusal);
  });
  it('makes no machine here, whatever it says of itself and whatever its roles are mapped to', () => {
    const subject = { username: `${hostId}.example`, groups: ['Admin'] };
    expect(callerOf(connection(personOf(subject)))).toMatchObject({ kind: 'foreign', roles: ['guest'] });
    mapped = ({ roles }) => roles;
    expect(() => callerOf(connection(personOf(subject)))).toThrow(refusal);
    expect(() => callerOf(connection(hostOf()))).toThrow(refusal);
  });
  it('keeps out by locks of the person, of a mapped role and of the certificate, and ends', () => {
    const subjects: object[] = [];
    locked = (subject) => {
      subjects.push(subject);
      return 'lock in force';
    };
    expect(() => callerOf(connection(personOf()))).toThrow('lock in force');
    expect(subjects).toEqual([{ user: 'root/alice', roles: ['guest'], serial: 7n }]);
    now = plusMs(at, 2 * hour);
    expect(() => callerOf(connection(personOf()))).toThrow('has expired');
  });
});
