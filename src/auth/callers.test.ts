import { createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Caller } from '../api/operation.ts';
import { hour, minute, plusMs, second } from '../base/time.ts';
import { generateP256 } from '../pki/key-pair.ts';
import { issueHostTlsCertificate, issueUserTlsCertificate, type TlsIdentity } from '../pki/tls-identity.ts';
import { createCaCertificate } from '../pki/x509.ts';
import type { PresentedUser } from '../views/user-life.ts';
import { type CallerFacts, identifyCallers, isSystemRole } from './callers.ts';

const at = '2026-01-01T00:00:00.000Z';
const hostId = '00000000-0000-4000-8000-0000000000b1';
const refusal = { code: 'access_denied', message: 'access denied: the client certificate is not valid here' };

interface Authority {
  readonly caPem: string;
  readonly caKey: KeyObject;
}
function authorityOf(clusterName = 'example'): Authority {
  const caKey = generateP256();
  return { caPem: createCaCertificate({ clusterName, privateKey: caKey, now: at }), caKey };
}
const [userAuthority, hostAuthority, stranger] = [authorityOf(), authorityOf(), authorityOf()];
const publicKey = createPublicKey(generateP256());

const hostCertificate = (wish: Partial<Parameters<typeof issueHostTlsCertificate>[0]> = {}): string =>
  issueHostTlsCertificate({
    ...hostAuthority,
    publicKey,
    hostId,
    clusterName: 'example',
    role: 'Node',
    additionalPrincipals: ['node-1', '10.0.0.7'],
    now: at,
    ...wish,
  });
const userCertificate = (
  identity: Partial<TlsIdentity> = {},
  from: Authority = userAuthority,
  life: Pick<TlsIdentity, 'lifeId' | 'loggedInAt'> = { lifeId: 'life', loggedInAt: at },
): string =>
  issueUserTlsCertificate({
    ...from,
    publicKey,
    identity: {
      username: 'alice',
      groups: ['admin'],
      principals: ['root'],
      routeToCluster: '',
      traits: {},
      ...life,
      ...identity,
    },
    now: at,
    serial: 7n,
    ttlSeconds: 3600,
  });

/** A connection as TLS leaves it when it has looked at the certificate; of no network. */
function connection(
  pem: string | undefined,
  from: { readonly remoteAddress: string | undefined; readonly destroyed: boolean } = {
    remoteAddress: '10.0.0.7',
    destroyed: false,
  },
): TLSSocket {
  const certificate = pem === undefined ? undefined : new X509Certificate(pem);
  return Object.create(TLSSocket.prototype, {
    getPeerX509Certificate: { value: () => certificate },
    remoteAddress: { value: from.remoteAddress },
    remotePort: { value: from.remoteAddress === undefined ? undefined : 4711 },
    destroyed: { value: from.destroyed },
  }) as TLSSocket;
}

let signedSerial = '';
let now = at;
let trusted: { user: string[]; host: string[] };
let withdrawn: ReturnType<CallerFacts['withdrawn']>;
let roles: readonly string[] | undefined;
let asked: PresentedUser[];
let locked: CallerFacts['lockedBy'];
const facts: CallerFacts = {
  now: () => now,
  clusterName: () => 'example',
  authorities: () => trusted,
  withdrawn: () => withdrawn,
  activeUser: (presented) => {
    asked.push(presented);
    return roles === undefined ? undefined : { roles, administers: presented.serial === signedSerial };
  },
  ...{ foreignAuthorities: () => [], foreignUser: () => undefined },
  lockedBy: (subject) => locked(subject),
};
let callerOf: (socket: Socket) => Caller;
beforeEach(() => {
  now = at;
  trusted = { user: [userAuthority.caPem], host: [hostAuthority.caPem] };
  withdrawn = [];
  roles = ['admin'];
  asked = [];
  signedSerial = '';
  locked = () => undefined;
  callerOf = identifyCallers(facts);
});

describe('a certificate of a key that was withdrawn', () => {
  const gone = (type: 'host' | 'user', why: 'rotated' | 'rolled_back' | 'replaced') => ({
    ...{ type, why, at, by: 'user:alice' },
    certificatePem: type === 'host' ? hostAuthority.caPem : userAuthority.caPem,
  });
  const tried = (one: TLSSocket): string => {
    try {
      callerOf(one);
      return 'admitted';
    } catch (e) {
      return (e as Error).message;
    }
  };
  it('is refused with what became of the key, and what to do, also over a connection that is open', () => {
    const [machine, person] = [connection(hostCertificate()), connection(userCertificate())];
    expect([machine, person].map(tried)).toEqual(['admitted', 'admitted']);
    trusted = { user: [stranger.caPem], host: [stranger.caPem] };
    withdrawn = [gone('host', 'rotated'), gone('user', 'replaced')];
    for (const [open, anew] of [
      [machine, connection(hostCertificate())],
      [person, connection(userCertificate())],
    ] as const)
      expect(tried(open)).toBe(tried(anew));
    expect(tried(machine)).toMatch(
      /of a key of the host authority \(sha256:[0-9a-f]{64}\) that was rotated at 2026-01-01T00:00:00.000Z by user:alice: this machine joins again with a token/,
    );
    expect(tried(person)).toMatch(
      /user authority .* was replaced without a grace period at .*: log in again$/,
    );
  });
  it('of an authority that never was is refused in the words for all', () => {
    trusted = { user: [], host: [] };
    withdrawn = [gone('host', 'rotated')];
    expect(tried(connection(hostCertificate(stranger)))).toBe(refusal.message);
  });
});

describe('who is at the other end', () => {
  it('is a host, by its id, its one role, and the names and the key that were certified', () => {
    expect(callerOf(connection(hostCertificate()))).toEqual({
      kind: 'host',
      hostId,
      role: 'Node',
      address: '10.0.0.7:4711',
      certifiedNames: ['node-1', '10.0.0.7'],
      key: expect.stringMatching(/^SHA256:/) as string,
      serial: expect.any(BigInt) as bigint,
    });
  });
  it('has no fingerprint where SSH has no such key', () => {
    const odd = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey;
    expect(callerOf(connection(hostCertificate({ publicKey: odd })))).not.toHaveProperty('key');
  });
  it('is nobody while a lock is in force: of the user, a role of now or of the certificate, or its serial', () => {
    const subjects: unknown[] = [];
    locked = (subject) => {
      subjects.push(subject);
      return 'lock targeting User:"alice" is in force';
    };
    roles = ['ops'];
    const refusedBy = { code: 'access_denied', message: 'lock targeting User:"alice" is in force' };
    expect(() => callerOf(connection(userCertificate()))).toThrow(expect.objectContaining(refusedBy));
    const serial = expect.any(BigInt) as bigint;
    expect(subjects).toEqual([{ user: 'alice', roles: ['ops', 'admin'], serial }]);
    const admin = hostCertificate({ role: 'Admin' });
    expect(() => callerOf(connection(admin))).toThrow(expect.objectContaining(refusedBy));
    expect(subjects[1]).toEqual({ serial });
    // Those that joined are refused by their heartbeats and renewals.
    expect(callerOf(connection(hostCertificate()))).toMatchObject({ kind: 'host', role: 'Node' });
    signedSerial = '7';
    expect(() => callerOf(connection(userCertificate()))).toThrow(expect.objectContaining(refusedBy));
    expect(subjects[2]).toMatchObject({ serial: 7n });
  });
  it('is a user, with the roles that it has now and not those of the certificate', () => {
    roles = ['auditor'];
    expect(callerOf(connection(userCertificate()))).toEqual({
      kind: 'user',
      username: 'alice',
      roles: ['auditor'],
      address: '10.0.0.7:4711',
      administers: false,
      certificate: {
        serial: '7',
        lifeId: 'life',
        routeToCluster: '',
        validUntil: '2026-01-01T01:00:00.000Z',
        authorityPem: userAuthority.caPem,
        loggedInAt: '2026-01-01T00:00:00.000Z',
        accessRequests: [],
      },
    });
    // By the life of the user in which it was issued, and when that was: certificates are back-dated.
    expect(asked).toEqual([
      {
        username: 'alice',
        lifeId: 'life',
        validFromMs: Date.parse(plusMs(at, -minute)),
        serial: '7',
        accessRequests: [],
      },
    ]);
    // Those of older releases name none.
    callerOf(connection(userCertificate({ username: 'bob' }, userAuthority, {})));
    expect(asked[1]).toMatchObject({ username: 'bob', lifeId: '' });
  });
  it('is an operator by what the log has of its serial, not by its certificate', () => {
    signedSerial = '7';
    expect(callerOf(connection(userCertificate()))).toMatchObject({ kind: 'user', administers: true });
  });
  it('is anyone, without a certificate', () => {
    expect(callerOf(connection(undefined))).toEqual({ kind: 'anyone', address: '10.0.0.7:4711' });
  });
  it('has the address of this machine within this process, and none when it has gone', () => {
    const addressOf = (destroyed: boolean): string =>
      callerOf(connection(undefined, { remoteAddress: undefined, destroyed })).address;
    expect([addressOf(false), addressOf(true)]).toEqual(['127.0.0.1:0', ':0']);
  });
  it('is refused without TLS, rather than taken for anyone', () => {
    expect(() => callerOf(new Socket())).toThrow(expect.objectContaining(refusal) as Error);
  });
});

describe('a certificate that was presented is refused, never taken for none', () => {
  it.each([
    ['of another authority of the same name', hostCertificate(stranger)],
    ['of an authority that is not one of hosts', userCertificate({}, stranger)],
    ['that is the authority itself', hostAuthority.caPem],
    ['of a host of another cluster', hostCertificate({ clusterName: 'leaf' })],
    ['of a host in a role that there is not', hostCertificate({ role: 'Kube' })],
    [
      'of a host in two roles',
      userCertificate({ username: `${hostId}.example`, groups: ['Node', 'Proxy'] }, hostAuthority),
    ],
    ['of a person in a role of machines', userCertificate({ groups: ['admin', 'Proxy'] })],
    ['of a person by the host authority', userCertificate({}, hostAuthority)],
    ['of a host by the user authority', hostCertificate(userAuthority)],
  ])('one %s', (_what, pem) => {
    expect(() => callerOf(connection(pem))).toThrow(expect.objectContaining(refusal) as Error);
    expect(asked).toEqual([]);
  });
  it('one of a user who is not there', () => {
    roles = undefined;
    expect(() => callerOf(connection(userCertificate()))).toThrow(expect.objectContaining(refusal) as Error);
  });
  it('one before it holds, and from the moment on at which it ends', () => {
    const socket = connection(userCertificate());
    const [from, to] = [plusMs(at, -minute), plusMs(at, hour)];
    for (const one of [from, plusMs(to, -1)]) {
      now = one;
      expect(callerOf(socket).kind).toBe('user');
    }
    now = plusMs(from, -1);
    expect(() => callerOf(socket)).toThrow(expect.objectContaining(refusal) as Error);
    for (const one of [to, plusMs(to, second)]) {
      now = one;
      expect(() => callerOf(socket)).toThrow(
        expect.objectContaining({
          code: 'access_denied',
          message: 'the certificate of alice has expired',
        }) as Error,
      );
    }
  });
});

describe('a connection that stays open', () => {
  it.each([
    ['host', hostCertificate()],
    ['user', userCertificate()],
  ] as const)(
    'is refused from the call on at which the %s authority is not trusted any more',
    (kind, pem) => {
      const socket = connection(pem);
      expect(callerOf(socket).kind).toBe(kind);
      // A rotation: another authority signs now.
      trusted = { ...trusted, [kind]: [stranger.caPem] };
      expect(() => callerOf(socket)).toThrow(expect.objectContaining(refusal) as Error);
      expect(() => callerOf(connection(pem))).toThrow(expect.objectContaining(refusal) as Error);
      trusted = {
        ...trusted,
        [kind]: [stranger.caPem, kind === 'host' ? hostAuthority.caPem : userAuthority.caPem],
      };
      expect(callerOf(socket).kind).toBe(kind);
    },
  );
  it('keeps the kind of its authority: one of hosts that becomes one of users makes nobody a user', () => {
    const socket = connection(hostCertificate());
    expect(callerOf(socket).kind).toBe('host');
    trusted = { user: [hostAuthority.caPem], host: [] };
    expect(() => callerOf(socket)).toThrow(expect.objectContaining(refusal) as Error);
  });
  it('has the roles of each moment, and none when its user is gone', () => {
    const socket = connection(userCertificate());
    callerOf(socket);
    roles = ['auditor'];
    expect(callerOf(socket)).toMatchObject({ roles: ['auditor'] });
    roles = undefined;
    expect(() => callerOf(socket)).toThrow(expect.objectContaining(refusal) as Error);
  });
});

it('knows the roles of machines', () => {
  expect(['Admin', 'Auth', 'Proxy', 'Node', 'admin', ''].map(isSystemRole)).toEqual([
    ...[true, true, true, true],
    ...[false, false],
  ]);
});
