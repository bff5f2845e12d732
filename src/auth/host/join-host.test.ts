import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hour, minute, plusMs, second } from '../../base/time.ts';
import { memoryLog } from '../../log/memory-log.ts';
import { fakeWorld } from '../../api/testing.ts';
import { generateP256 } from '../../pki/key-pair.ts';
import { hostIdentityOf } from '../../pki/host-certificate.ts';
import { parseCertificate } from '../../pki/ssh-certificate.ts';
import { fromAuthorizedKeyLine, publicKeyOf, toAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import { tlsIdentityOf } from '../../pki/tls-identity.ts';
import { createToken } from '../token/create-token.ts';
import { deleteToken } from '../token/delete-token.ts';
import { heartbeat } from './heartbeat.ts';
import { joinHost } from './join-host.ts';
import { listTokens } from '../token/list-tokens.ts';
import { searchAudit } from '../audit/search-audit.ts';
import {
  adminCall,
  callOf,
  eventsOf,
  hostCall,
  newKeyLine,
  openTestAuth,
  type TestAuth,
} from '../testing.ts';

const staticToken = 'a-static-token-0001';
let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth({ staticTokens: [{ roles: ['Node'], token: staticToken }] });
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});

const hostIdOf = (n: number): string => `00000000-0000-4000-8000-0000000b${n.toString(16).padStart(4, '0')}`;
let lastPort = 1000;
interface Wish {
  token: string;
  n?: number;
  role?: 'Node' | 'Proxy';
  publicKey?: string;
  names?: string[];
  nodename?: string;
  sentAt?: string;
  hostId?: string;
  from?: string;
}
const join = (wish: Wish, at: TestAuth = auth) => {
  const { token, n = 1, role = 'Node', publicKey = newKeyLine(), names = [] } = wish;
  // From an address of its own, so that only the tests of the limit meet it.
  const address = wish.from ?? `10.9.${n}.7:${++lastPort}`;
  return joinHost(at.deps, callOf({ kind: 'anyone', address }), {
    hostId: wish.hostId ?? hostIdOf(n),
    nodename: wish.nodename ?? `n${n}`,
    role,
    token,
    publicKey,
    additionalPrincipals: names,
    sentAt: wish.sentAt ?? at.world.now(),
  });
};
const make = async (extra: object = {}, at: TestAuth = auth): Promise<string> => {
  const made = await createToken(at.deps, adminCall, { roles: ['Node'], ttlSeconds: 1800, ...extra });
  return made.token;
};
const audit = async (types: string[]) => {
  const { events } = await searchAudit(auth.deps, adminCall, {
    from: '2000-01-01T00:00:00.000Z',
    to: '2100-01-01T00:00:00.000Z',
    types,
    user: '',
    limit: 1000,
  });
  return events;
};
const denied = (message: string | RegExp) => ({
  code: 'access_denied',
  message: expect.stringMatching(message) as string,
});
const everything = async (): Promise<string> =>
  JSON.stringify([await eventsOf(auth.log, 'state'), await eventsOf(auth.log, 'audit'), auth.sink.lines]);

describe('joining with a token', () => {
  it('gives both certificates over the key of the machine, and what to trust', async () => {
    const publicKey = newKeyLine();
    const got = await join({ token: await make(), publicKey, names: ['web.example.com', '0.0.0.0'] });
    const ssh = parseCertificate(fromAuthorizedKeyLine(got.sshCertificate));
    expect(hostIdentityOf(ssh)).toEqual({
      hostFqdn: `${hostIdOf(1)}.example`,
      role: 'Node',
      clusterName: 'example',
    });
    expect(toAuthorizedKeyLine(ssh.key.blob)).toBe(publicKey);
    // Where it listens on all addresses it is reached at the one it came from.
    expect(ssh.principals).toEqual(expect.arrayContaining(['n1', 'web.example.com', '10.9.1.7']));
    expect(ssh.principals).not.toContain('0.0.0.0');
    const tls = new X509Certificate(got.tlsCertificatePem);
    expect(tlsIdentityOf(tls)).toMatchObject({ username: `${hostIdOf(1)}.example`, groups: ['Node'] });
    expect(tls.publicKey.equals(ssh.key.key)).toBe(true);
    expect(got).toMatchObject({ clusterName: 'example', tlsCasPem: [expect.any(String)] });
  });

  it('is one append where they are: the use, and whose key the machine has', async () => {
    await join({ token: await make({ uses: 2 }) });
    const events = (await eventsOf(auth.log, 'state')).slice(-2);
    expect(events.map(({ fact }) => fact.type)).toEqual(['token.used', 'host.admitted']);
    expect(new Set(events.map(({ cause }) => cause.requestId)).size).toBe(1);
    expect(events[0]?.cause.actor).toBe(`node:${hostIdOf(1)}`);
    expect(await audit(['join_token.use'])).toMatchObject([
      { code: 'TJT02I', success: true, host_id: hostIdOf(1), nodename: 'n1', role: 'Node' },
    ]);
    expect(await audit(['cert.create'])).toMatchObject([{ cert_type: 'host', host_id: hostIdOf(1) }]);
  });

  it('keeps the secret nowhere, used or refused', async () => {
    const secrets = [await make({ uses: 1 }), await make({ value: 'chosen-by-a-person-7' }), staticToken];
    for (const [n, token] of secrets.entries()) await join({ token, n: n + 1 });
    for (const [n, token] of [...secrets, 'never-made-0123456789'].entries())
      await join({ token, n: n + 5, role: 'Proxy' }).catch(() => undefined);
    const all = await everything();
    for (const secret of [...secrets, 'never-made-0123456789']) expect(all).not.toContain(secret);
  });

  it('knows a machine again that lost the answer, also where the token was for one use', async () => {
    const token = await make({ uses: 1 });
    const publicKey = newKeyLine();
    await join({ token, publicKey });
    const before = await auth.log.state.head();
    await join({ token, publicKey });
    expect(await auth.log.state.head()).toBe(before);
    await expect(join({ token, n: 2 })).rejects.toMatchObject(denied('used up'));
  });

  it('admits as many as it was made for, however many come at once to two auth servers', async () => {
    const log = memoryLog({ world: fakeWorld() });
    const servers = await Promise.all(
      [0xaa, 0xbb].map((n) => openTestAuth({ log, hostId: hostIdOf(n), nodename: `auth-${n}` })),
    );
    const token = await make({ uses: 3 }, servers[0]);
    const all = await Promise.allSettled(
      Array.from({ length: 12 }, (_, n) => join({ token, n: n + 1 }, servers[n % 2])),
    );
    const refused = all.filter((one) => one.status === 'rejected');
    expect(all.length - refused.length).toBe(3);
    for (const { reason } of refused) expect(reason).toMatchObject(denied('used up: it was made for 3 uses'));
    for (const server of servers) await server.close();
    await log.close();
  });
});

describe('a machine that is refused', () => {
  it('is told one thing for whatever was never a token', async () => {
    const known = await make({ value: 'join-me-if-you-can.1' });
    for (const token of ['', 'x', known.slice(0, -1), `${known} `, known.toUpperCase(), 'f'.repeat(1024)])
      await expect(join({ token })).rejects.toMatchObject({
        code: 'access_denied',
        message: `"n1" [${hostIdOf(1)}] can not join the cluster with role Node, the token is not valid`,
      });
  });

  it('is told what became of its token, and so is the operator', async () => {
    const [expired, deleted, used] = [await make({ ttlSeconds: 60 }), await make(), await make({ uses: 1 })];
    await join({ token: used, n: 9 });
    await deleteToken(auth.deps, adminCall, { token: deleted });
    auth.world.advance(minute);
    const reasons = [/the token expired at 2026-01-01T00:01:00\.000Z/, /was deleted/, /is used up/];
    for (const [i, token] of [expired, deleted, used].entries())
      await expect(join({ token, n: i + 1 })).rejects.toMatchObject(denied(reasons[i] ?? ''));
    const wrongRole = join({ token: await make(), n: 4, role: 'Proxy' });
    await expect(wrongRole).rejects.toMatchObject({ code: 'bad_request' });
    await expect(wrongRole).rejects.toThrow('the token does not allow "Proxy" role');
    await join({ token: 'nonsense', n: 5 }).catch(() => undefined);
    const told = (await audit(['join_token.use'])).filter(({ code }) => code === 'TJT02W');
    expect(told.map((one) => String(one['error']))).toEqual([
      ...reasons.map((reason) => expect.stringMatching(reason) as unknown),
      expect.stringContaining('does not allow "Proxy" role'),
      expect.stringContaining('the token is not valid'),
    ]);
    expect(told[0]).toMatchObject({
      token_id: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
      nodename: 'n1',
    });
    expect(told.at(-1)).not.toHaveProperty('token_id');
  });

  it('is told both clocks when they differ by more than a certificate is back-dated', async () => {
    const token = await make({ uses: 1 });
    const now = auth.world.now();
    for (const [ms, word] of [
      [-61 * second, '61 s behind'],
      [hour, '3600 s ahead'],
    ] as const) {
      const sentAt = plusMs(now, ms);
      await expect(join({ token, sentAt })).rejects.toMatchObject(
        denied(`its clock is ${word}, it says ${sentAt}, the auth server says ${now}; .* within 60 s`),
      );
      await expect(join({ token: 'nonsense', sentAt })).rejects.toMatchObject(denied('is not valid$'));
    }
    // Nothing was spent.
    await join({ token, sentAt: plusMs(now, -minute) });
  });

  it('spends nothing on a key or a name that cannot be certified', async () => {
    const token = await make({ uses: 1 });
    const ecdsa = toAuthorizedKeyLine(publicKeyOf(generateP256()).blob);
    const wrong: Omit<Wish, 'token'>[] = [
      { publicKey: ecdsa },
      { publicKey: 'ssh-ed25519 AAAA' },
      { hostId: hostIdOf(1).toUpperCase() },
      { names: ['a,b'] },
      { names: [''] },
      { names: ['*.example.com'] },
      { names: ['teleport.cluster.local'] },
      { names: ['6578616d706c65.Teleport.cluster.local'] },
      { names: [hostIdOf(2)] },
      { nodename: `${hostIdOf(2)}.example` },
      { nodename: 'teleport.cluster.local' },
    ];
    for (const [n, wish] of wrong.entries())
      await expect(join({ token, ...wish, from: `10.8.0.${n}:1` })).rejects.toMatchObject({
        code: 'bad_request',
      });
    await join({ token, names: [hostIdOf(1), `${hostIdOf(1)}.example`] });
  });
});

describe('the id of another machine', () => {
  const alive = (n: number, role: 'Node' | 'Proxy' = 'Node') =>
    heartbeat(auth.deps, hostCall(role, hostIdOf(n)), {
      host: {
        hostId: hostIdOf(n),
        role,
        nodename: `n${n}`,
        address: '10.9.1.7:3022',
        publicAddress: '',
        sshPublicAddress: '',
        labels: {},
        version: '4.5.0',
      },
      ttlSeconds: 600,
    });

  it('is not given to another key while it is alive', async () => {
    const token = await make({ uses: 3 });
    const publicKey = newKeyLine();
    await join({ token, publicKey });
    await alive(1);
    await expect(join({ token })).rejects.toMatchObject(
      denied(/its host id belongs to "n1" at 10\.9\.1\.7:3022, .*remove host_uuid/),
    );
    await join({ token, publicKey });
    const [before] = (await listTokens(auth.deps, adminCall, {})).tokens.filter(
      ({ origin }) => origin === 'dynamic',
    );
    expect(before).toMatchObject({ usesLeft: 2 });
  });

  it('is given back to a machine that was gone and lost its key, and the operator is told', async () => {
    await join({ token: staticToken });
    await alive(1);
    auth.world.advance(600 * second);
    await join({ token: staticToken });
    expect(await audit(['instance.rekey'])).toMatchObject([
      { code: 'TJ102W', server_id: hostIdOf(1), previous_key: expect.stringMatching(/^SHA256:/) as string },
    ]);
    expect(auth.sink.lines.filter((line) => line.startsWith('warn a token gave the id'))).toHaveLength(1);
  });

  it('of an auth server or a proxy is never given for a token of nodes', async () => {
    const both = await make({ roles: ['Node', 'Proxy'] });
    await join({ token: both, role: 'Proxy' });
    await expect(join({ token: await make() })).rejects.toMatchObject(denied('in role Proxy'));
    await join({ token: both });
    const announced = (await eventsOf(auth.log, 'state')).filter(({ fact }) => fact.type === 'host.joined');
    expect(announced).toEqual([]);
    const authServer = '00000000-0000-4000-8000-0000000000aa';
    await heartbeat(auth.deps, hostCall('Auth', authServer), {
      host: {
        hostId: authServer,
        role: 'Auth',
        nodename: 'auth-1',
        address: '10.0.0.1:3025',
        publicAddress: '',
        sshPublicAddress: '',
        labels: {},
        version: '4.5.0',
      },
      ttlSeconds: 60,
    });
    await expect(join({ token: both, hostId: authServer })).rejects.toMatchObject(denied('in role Auth'));
  });
});

describe('many attempts', () => {
  it('from one address are turned away and counted; of refusals only some are told one by one', async () => {
    const all = await Promise.allSettled(
      Array.from({ length: 30 }, () => join({ token: 'guess', from: '192.0.2.66:1' })),
    );
    const codes = all.map((one) =>
      one.status === 'rejected' ? (one.reason as { code: string }).code : 'ok',
    );
    expect(codes.filter((code) => code === 'access_denied')).toHaveLength(20);
    expect(codes.filter((code) => code === 'limit_exceeded')).toHaveLength(10);
    // A machine elsewhere is not held up.
    await join({ token: staticToken });
    await auth.close();
    const told = (await audit(['join_token.use'])).filter(({ code }) => code === 'TJT02W');
    expect(told).toHaveLength(2);
    const gaps = await audit(['gap']);
    expect(gaps.map((gap) => gap['count']).sort()).toEqual([10, 18]);
    expect(gaps).toMatchObject([{ about: 'join_token.use' }, { about: 'join_token.use' }]);
  });
});
