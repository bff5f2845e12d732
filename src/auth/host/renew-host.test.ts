import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hour, plusMs, second } from '../../base/time.ts';
import { hostCertificateLife } from '../../pki/host-certificate-life.ts';
import { hostIdentityOf } from '../../pki/host-certificate.ts';
import { parseCertificate } from '../../pki/ssh-certificate.ts';
import { fingerprint, fromAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import { alternativeNamesOf } from '../../pki/x509-alternative-names.ts';
import { createToken } from '../token/create-token.ts';
import { deleteToken } from '../token/delete-token.ts';
import { listTokens } from '../token/list-tokens.ts';
import {
  adminCall,
  authHostId,
  callOf,
  eventsOf,
  hostCall,
  newKeyLine,
  openTestAuth,
  type TestAuth,
} from '../testing.ts';
import { heartbeat } from './heartbeat.ts';
import { joinHost } from './join-host.ts';
import { renewHost } from './renew-host.ts';

let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth();
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});

const hostId = '00000000-0000-4000-8000-0000000b0001';
const otherId = '00000000-0000-4000-8000-0000000b0002';
const address = '10.9.1.7:4711';
type Certificates = Awaited<ReturnType<typeof joinHost>>;

/** A machine that joined, in the role Node unless said otherwise. */
async function joined(
  wish: {
    id?: string;
    nodename?: string;
    names?: string[];
    role?: 'Node' | 'Proxy';
    tokenNames?: string[];
  } = {},
): Promise<Certificates> {
  const { id = hostId, nodename = 'n1', names = [], role = 'Node', tokenNames = [] } = wish;
  const { token } = await createToken(auth.deps, adminCall, {
    roles: [role],
    ttlSeconds: 1800,
    names: tokenNames,
  });
  return joinHost(auth.deps, callOf({ kind: 'anyone', address }), {
    ...{ hostId: id, nodename, role, token, publicKey: newKeyLine(), additionalPrincipals: names },
    sentAt: auth.world.now(),
  });
}

/** As `identifyCallers` says who shows these certificates. */
const callerOf = (certificates: Certificates) => {
  const tls = new X509Certificate(certificates.tlsCertificatePem);
  const ssh = parseCertificate(fromAuthorizedKeyLine(certificates.sshCertificate));
  const { role, hostFqdn } = hostIdentityOf(ssh);
  return {
    kind: 'host',
    hostId: hostFqdn.replace(/\.example$/, ''),
    role: role as 'Node',
    address,
    certifiedNames: alternativeNamesOf(tls),
    key: fingerprint(ssh.key.blob),
  } as const;
};

interface Wish {
  nodename?: string;
  names?: string[];
  publicKey?: string;
  sentAt?: string;
}
const renew = (certificates: Certificates, wish: Wish = {}): Promise<Certificates> =>
  renewHost(auth.deps, callOf(callerOf(certificates)), {
    nodename: wish.nodename ?? 'n1',
    publicKey: wish.publicKey ?? newKeyLine(),
    additionalPrincipals: wish.names ?? [],
    sentAt: wish.sentAt ?? auth.world.now(),
  });
const namesIn = (certificates: Certificates): readonly string[] =>
  parseCertificate(fromAuthorizedKeyLine(certificates.sshCertificate)).principals;
const announce = (id: string, nodename: string, role: 'Node' | 'Proxy' = 'Node') =>
  heartbeat(auth.deps, hostCall(role, id), {
    ttlSeconds: 600,
    host: {
      ...{ hostId: id, role, nodename, address: '10.9.2.7:3022', publicAddress: '', sshPublicAddress: '' },
      ...{ labels: {}, version: '4.5.0' },
    },
  });
const denied = (message: RegExp) => ({
  code: 'access_denied',
  message: expect.stringMatching(message) as string,
});

describe('a machine that has its certificates renewed', () => {
  it('gets others for a new key, which end later, in its own id and role', async () => {
    const first = await joined({ names: ['10.9.1.7', 'db.example.com'] });
    auth.world.advance(60 * 24 * hour);
    const publicKey = newKeyLine();
    const second = await renew(first, { names: ['10.9.1.7', 'db.example.com'], publicKey });
    expect(callerOf(second)).toMatchObject({
      hostId,
      role: 'Node',
      key: fingerprint(fromAuthorizedKeyLine(publicKey)),
    });
    expect([...namesIn(second)].sort()).toEqual([...namesIn(first)].sort());
    const until = (of: Certificates): string | undefined => hostCertificateLife(of).until;
    expect(until(second)).toBe(plusMs(until(first) ?? '', 60 * 24 * hour));
    const tls = new X509Certificate(second.tlsCertificatePem);
    expect(tls.validToDate.toISOString()).toBe(until(second));
  });

  it('gives up names that it does not ask for, and gets new ones that are free', async () => {
    const first = await joined({ names: ['old.example.com'] });
    const second = await renew(first, { nodename: 'n2', names: ['new.example.com', '10.9.1.8'] });
    expect(namesIn(second)).toEqual(
      expect.arrayContaining(['n2', 'n2.example', 'new.example.com', '10.9.1.8']),
    );
    expect(namesIn(second)).not.toContain('n1');
    expect(namesIn(second)).not.toContain('old.example.com');
  });

  it('does not get a name of another host, nor its address', async () => {
    const first = await joined();
    await joined({ id: otherId, nodename: 'db' });
    await announce(otherId, 'db');
    await expect(renew(first, { nodename: 'db' })).rejects.toMatchObject(
      denied(
        /^"db" \[0{8}-\S+\] cannot have its certificates renewed in role Node: the name "db" is that of/,
      ),
    );
    await expect(renew(first, { names: ['db.example'] })).rejects.toMatchObject(denied(/is that of "db"/));
    expect(namesIn(await renew(first, { names: ['10.9.2.7'] }))).not.toContain('10.9.2.7');
    await expect(renew(first, { names: [otherId] })).rejects.toMatchObject({ code: 'bad_request' });
    await expect(renew(first, { names: ['teleport.cluster.local'] })).rejects.toMatchObject({
      code: 'bad_request',
    });
    await expect(renew(first, { names: ['*.example.com'] })).rejects.toMatchObject({ code: 'bad_request' });
    await expect(renew(first, { nodename: 'localhost' })).rejects.toMatchObject(
      denied(/every machine's name/),
    );
  });

  it('does not get the names of the API as its own because its role has them', async () => {
    const first = await joined({ nodename: 'p1', role: 'Proxy' });
    expect(callerOf(first).certifiedNames).toContain('teleport.cluster.local');
    for (const name of ['teleport.cluster.local', '*.teleport.cluster.local'])
      await expect(renew(first, { nodename: 'p1', names: [name] })).rejects.toMatchObject({
        code: 'bad_request',
      });
  });

  it('keeps a name that it has, though another host has it as well by now', async () => {
    const first = await joined({ nodename: 'db' });
    await auth.deps.presence.soon();
    await joined({ id: otherId, nodename: 'db' });
    await announce(otherId, 'db');
    expect(namesIn(await renew(first, { nodename: 'db' }))).toContain('db');
    await expect(
      renew(await joined({ id: authHostId.replace(/a$/, 'e'), nodename: 'n9' }), { nodename: 'db' }),
    ).rejects.toMatchObject(denied(/the name "db" is that of/));
  });

  it('keeps what its certificate has already, though nobody would be given it today', async () => {
    // Of releases that asked for less, or of before another announced it.
    const first = await joined({ tokenNames: ['n*'] });
    const has = (...names: string[]) => ({
      ...callerOf(first),
      certifiedNames: [...callerOf(first).certifiedNames, ...names],
    });
    const keep = (caller: ReturnType<typeof has>, nodename: string, additionalPrincipals: string[]) =>
      renewHost(auth.deps, callOf(caller), {
        ...{ nodename, additionalPrincipals, publicKey: newKeyLine(), sentAt: auth.world.now() },
      });
    await joined({ id: otherId, nodename: 'db' });
    await announce(otherId, 'db');
    const others = ['10.9.2.7', 'db.example', 'web.example.com'];
    const certified = has('localhost', 'localhost.example', ...others);
    const second = await keep(certified, 'localhost', [...others, 'n7']);
    expect(namesIn(second)).toEqual(expect.arrayContaining(['localhost', 'n7', ...others]));
    await expect(renew(second, { nodename: 'web-1', names: others })).rejects.toMatchObject(
      denied(/called n\* only, not "web-1"/),
    );
  });

  it('may be called only what the token of its join lets it, also after that is gone and at a second renewal', async () => {
    const first = await joined({ nodename: 'web-1', tokenNames: ['web-*'] });
    const [made] = (await listTokens(auth.deps, adminCall, {})).tokens;
    await deleteToken(auth.deps, adminCall, { token: made?.tokenId ?? '' });
    const second = await renew(first, { nodename: 'web-2' });
    await expect(renew(second, { nodename: 'db-1' })).rejects.toMatchObject(
      denied(/the token lets its machines be called web-\* only, not "db-1"/),
    );
    expect(namesIn(await renew(second, { nodename: 'web-3' }))).toContain('web-3');
  });

  it('is refused once another key has been certified for its id', async () => {
    const first = await joined();
    const second = await renew(first);
    const third = await renew(second);
    await expect(renew(first)).rejects.toMatchObject(
      denied(/another key has been certified for its host id since/),
    );
    await expect(renew(third)).resolves.toBeDefined();
  });

  it('gets the same key certified again when the answer was lost, and nothing is recorded twice', async () => {
    const first = await joined();
    const publicKey = newKeyLine();
    await renew(first, { publicKey });
    const before = await auth.log.state.head();
    await renew(first, { publicKey });
    expect(await auth.log.state.head()).toBe(before);
  });

  it('is told when its clock is wrong, or its key cannot be certified', async () => {
    const first = await joined();
    await expect(renew(first, { sentAt: plusMs(auth.world.now(), -90 * second) })).rejects.toMatchObject(
      denied(/the clocks differ: its clock is 90 s behind/),
    );
    await expect(renew(first, { publicKey: 'ssh-ed25519 AAAA' })).rejects.toMatchObject({
      code: 'bad_request',
    });
  });

  it('must be a node or a proxy that showed a certificate', async () => {
    const input = {
      nodename: 'n1',
      publicKey: newKeyLine(),
      additionalPrincipals: [],
      sentAt: auth.world.now(),
    };
    for (const call of [
      hostCall('Node', hostId),
      { ...adminCall, caller: { ...adminCall.caller, key: 'SHA256:x' } },
    ])
      await expect(renewHost(auth.deps, call, input)).rejects.toMatchObject(denied(/only a node or a proxy/));
  });

  it('stands in the audit by its certificate, and its new key is not told as a stranger', async () => {
    await renew(await joined());
    const facts = (await eventsOf(auth.log, 'state')).filter(({ fact }) => fact.type === 'host.admitted');
    expect(facts.map(({ fact }) => (fact.data as { by?: string }).by)).toEqual(['token', 'renewal']);
    const told = (await eventsOf(auth.log, 'audit')).map(
      ({ fact }) => fact.data as { event: { event: string; host_id?: string } },
    );
    expect(
      told.filter(({ event }) => event.event === 'cert.create' && event.host_id === hostId),
    ).toHaveLength(2);
  });
});
