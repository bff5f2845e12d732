import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hour, second } from '../../base/time.ts';
import { parseCertificate } from '../../pki/ssh-certificate.ts';
import { fromAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import { tlsIdentityOf } from '../../pki/tls-identity.ts';
import { userIdentityOf } from '../../pki/user-certificate.ts';
import { deleteUser } from './delete-user.ts';
import { listUsers } from './list-users.ts';
import { searchAudit } from '../audit/search-audit.ts';
import { unlockUser } from './unlock-user.ts';
import { addRole, addUser, adminCall, codeFor, openTestAuth, type TestAuth, tryLogin } from '../testing.ts';

let auth: TestAuth;
let url: string;
const wrong = {
  code: 'access_denied',
  message: 'invalid username, password or second factor',
};

beforeEach(async () => {
  auth = await openTestAuth();
  url = await addUser(auth, 'alice', 'correct horse');
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});
const code = (later = 0): string => codeFor(url, auth.world.now(), later);
const good = () => ({ username: 'alice', password: 'correct horse', otp: code() });
const audit = async (types: string[] = ['user.login']) => {
  const { events } = await searchAudit(auth.deps, adminCall, {
    from: '2000-01-01T00:00:00.000Z',
    to: '2100-01-01T00:00:00.000Z',
    types,
    user: '',
    limit: 100,
  });
  return events;
};

describe('logging in', () => {
  it('gives an SSH certificate and its TLS twin over the same key, and what to trust', async () => {
    const answer = await tryLogin(auth, good());
    const ssh = parseCertificate(fromAuthorizedKeyLine(answer.sshCertificate));
    expect(userIdentityOf(ssh)).toMatchObject({
      username: 'alice',
      principals: ['alice', 'root'],
      roles: ['admin'],
    });
    const tls = new X509Certificate(answer.tlsCertificatePem);
    expect(tlsIdentityOf(tls)).toMatchObject({
      username: 'alice',
      groups: ['admin'],
      principals: ['alice', 'root'],
    });
    expect(tls.publicKey.equals(ssh.key.key)).toBe(true);
    expect(Number(ssh.validBefore)).toBe(Date.parse(auth.world.now()) / 1000 + 12 * 3600);
    expect(answer.hostSigners).toMatchObject([{ clusterName: 'example' }]);
    expect((await audit(['cert.create'])).at(-1)).toMatchObject({
      code: 'TC000I',
      user: 'alice',
      cert_type: 'user',
    });
  });

  it('cuts the life of a certificate to the least of the roles, and refuses one without a login', async () => {
    const conditions = { logins: ['deploy'], nodeLabels: { '*': ['*'] } };
    const options = {
      maxSessionTtlSeconds: 600,
      forwardAgent: false,
      portForwarding: false,
      disconnectExpiredCert: false,
      clientIdleTimeoutSeconds: 0,
      maxSessions: 0,
    };
    const none = { logins: [], nodeLabels: {} };
    await addRole(auth, { name: 'short', options, allow: conditions, deny: none });
    await addRole(auth, { name: 'empty', options, allow: none, deny: none });
    const shortUrl = await addUser(auth, 'bob', 'correct horse', ['admin', 'short']);
    const bob = await tryLogin(auth, {
      ...good(),
      username: 'bob',
      otp: codeFor(shortUrl, auth.world.now()),
    });
    const ssh = parseCertificate(fromAuthorizedKeyLine(bob.sshCertificate));
    expect(Number(ssh.validBefore)).toBe(Date.parse(auth.world.now()) / 1000 + 600);
    const emptyUrl = await addUser(auth, 'eve', 'correct horse', ['empty']);
    await expect(
      tryLogin(auth, { ...good(), username: 'eve', otp: codeFor(emptyUrl, auth.world.now()) }),
    ).rejects.toMatchObject({
      code: 'access_denied',
      message: 'user "eve" has no login that its roles allow',
    });
  });

  it('refuses a key that cannot be certified before the code is spent', async () => {
    const attempt = good();
    for (const publicKey of ['', 'ssh-ed25519 AAAA', 'ssh-dss AAAAB3NzaC1kc3M='])
      await expect(tryLogin(auth, { ...attempt, publicKey })).rejects.toMatchObject({ code: 'bad_request' });
    await tryLogin(auth, attempt);
  });
});

describe('failing to log in', () => {
  it('says the same whatever was wrong', async () => {
    await addUser(auth, 'gone', 'correct horse');
    await deleteUser(auth.deps, adminCall, { username: 'gone' });
    const attempts = [
      { ...good(), password: 'wrong' },
      { ...good(), password: '' },
      { ...good(), otp: '000000' },
      { ...good(), otp: '' },
      { ...good(), username: 'nobody' },
      { ...good(), username: 'gone' },
      { ...good(), username: '../../etc/passwd\u0000' },
      { ...good(), username: 'Alice' },
    ];
    for (const attempt of attempts) await expect(tryLogin(auth, attempt)).rejects.toMatchObject(wrong);
  });

  it('says less where there is no second factor', async () => {
    const off = await openTestAuth({ secondFactor: 'off' });
    await addUser(off, 'bob', 'correct horse');
    await expect(tryLogin(off, { username: 'bob', password: 'x' })).rejects.toThrow(
      /^invalid username or password$/,
    );
    await tryLogin(off, { username: 'bob', password: 'correct horse' });
    await off.close();
    await off.log.close();
  });

  it('tells the operator why, also for users that do not exist', async () => {
    await tryLogin(auth, { ...good(), password: 'wrong' }).catch(() => undefined);
    auth.world.advance(second);
    await tryLogin(auth, { ...good(), username: 'nobody' }).catch(() => undefined);
    const events = await audit();
    expect(events.map((one) => [one.code, one.user, one['error']])).toEqual([
      ['T1000W', 'alice', expect.stringContaining('password')],
      ['T1000W', 'nobody', 'no such user'],
    ]);
    expect(events[1]).toMatchObject({ 'addr.remote': '192.0.2.1:999', 'addr.local': '10.0.0.1:4711' });
  });

  it('makes no stream for a name that nobody has', async () => {
    await tryLogin(auth, { ...good(), username: 'nobody' }).catch(() => undefined);
    expect(await auth.log.state.revision('user-nobody')).toBe(0);
  });
});

describe('a one-time code', () => {
  it('works once', async () => {
    const attempt = good();
    await tryLogin(auth, attempt);
    await expect(tryLogin(auth, attempt)).rejects.toMatchObject(wrong);
    auth.world.advance(30 * second);
    await tryLogin(auth, good());
  });

  it('lets one of many simultaneous logins in', async () => {
    const attempt = good();
    const all = await Promise.allSettled(Array.from({ length: 4 }, () => tryLogin(auth, attempt)));
    expect(all.filter((one) => one.status === 'fulfilled')).toHaveLength(1);
  });

  it('may be one step early or late, not two', async () => {
    await expect(tryLogin(auth, { ...good(), otp: code(2) })).rejects.toMatchObject(wrong);
    await expect(tryLogin(auth, { ...good(), otp: code(-2) })).rejects.toMatchObject(wrong);
    await tryLogin(auth, { ...good(), otp: code(1) });
  });
});

describe('five failures', () => {
  const failFive = async (): Promise<void> => {
    for (let i = 0; i < 5; i++) await tryLogin(auth, { ...good(), password: 'wrong' }).catch(() => undefined);
  };

  it('lock for 20 minutes, which only the operator sees', async () => {
    await failFive();
    auth.world.advance(second);
    await expect(tryLogin(auth, good())).rejects.toMatchObject(wrong);
    expect((await listUsers(auth.deps, adminCall, {})).users[0]?.lock).toMatchObject({ status: 'locked' });
    expect((await audit()).at(-1)).toMatchObject({ code: 'T1000W', error: 'the user is locked' });
    auth.world.advance(20 * 60 * second);
    await tryLogin(auth, good());
    expect((await listUsers(auth.deps, adminCall, {})).users[0]?.lock).toEqual({ status: 'active' });
  });
});

describe('behind a balancer', () => {
  it('the audit keeps its address beside that of the person, whether the login works or not, or has no user', async () => {
    const balancerAddress = '10.0.0.5:4711';
    await tryLogin(auth, { ...good(), balancerAddress });
    await tryLogin(auth, { ...good(), password: 'wrong', balancerAddress }).catch(() => undefined);
    await tryLogin(auth, { ...good(), username: 'ghost', balancerAddress }).catch(() => undefined);
    await tryLogin(auth, { ...good(), password: 'wrong' }).catch(() => undefined);
    expect((await audit()).slice(-4).map((event) => event['addr.balancer'])).toEqual([
      ...[balancerAddress, balancerAddress, balancerAddress],
      undefined,
    ]);
  });
});

describe('failures in the name of somebody else', () => {
  const fail = (clientAddress: string, addressIsShared = false) =>
    tryLogin(auth, { ...good(), password: 'wrong', clientAddress, addressIsShared }).catch(() => undefined);

  it('lock only the address they come from, until an operator unlocks it', async () => {
    for (let i = 0; i < 5; i++) await fail('203.0.113.9:1');
    await tryLogin(auth, good());
    const [listed] = (await listUsers(auth.deps, adminCall, {})).users;
    expect(listed?.lock).toMatchObject({ status: 'locked', from: ['203.0.113.9'] });
    expect(await unlockUser(auth.deps, adminCall, { username: 'alice' })).toMatchObject({ unlocked: true });
    expect((await listUsers(auth.deps, adminCall, {})).users[0]?.lock).toEqual({ status: 'active' });
    expect((await audit(['lock.created', 'lock.deleted'])).map(({ code }) => code)).toEqual([
      'TLK00I',
      'TLK01I',
    ]);
    expect(await unlockUser(auth.deps, adminCall, { username: 'alice' })).toMatchObject({ unlocked: false });
    await expect(unlockUser(auth.deps, adminCall, { username: 'nobody' })).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('lock nobody behind a balancer that tells nothing, before there are many', async () => {
    for (let i = 0; i < 6; i++) {
      await fail('10.0.0.5:1', true);
      auth.world.advance(second);
    }
    await tryLogin(auth, { ...good(), clientAddress: '10.0.0.5:1', addressIsShared: true });
  });
});

describe('too many attempts from one address', () => {
  it('are refused unexamined, counted, and told as a gap', async () => {
    const all = await Promise.allSettled(
      Array.from({ length: 14 }, () => tryLogin(auth, { username: 'nobody', password: 'x' })),
    );
    const codes = all.map((one) =>
      one.status === 'rejected' ? (one.reason as { code: string }).code : 'ok',
    );
    expect(codes.filter((one) => one === 'limit_exceeded')).toHaveLength(4);
    await tryLogin(auth, { ...good(), clientAddress: '192.0.2.2:1' });
    auth.world.setClock(-3_600 * second);
    auth.world.advance(second);
    await expect(tryLogin(auth, { username: 'nobody', password: 'x' })).rejects.toMatchObject(wrong);
    auth.world.setClock(3_600 * second);
    await auth.close();
    expect(await audit(['gap'])).toContainEqual(
      expect.objectContaining({ about: 'user.login', count: 4, addresses: { '192.0.2.1': 4 } }),
    );
  });
});

describe('guesses from one address', () => {
  /** What eighty attempts within half a minute come to. */
  async function guess(username: string): Promise<string[]> {
    const told: string[] = [];
    for (let i = 0; i < 80; i++) {
      auth.world.advance(second / 3);
      const attempt = { username, password: `guess ${i}`, clientAddress: '203.0.113.7:999' };
      const answer = await tryLogin(auth, attempt).then(() => 'in', String);
      // By then some fraction of a second more or less has passed.
      told.push(answer.replace(/\d+ s$/, 'a few s'));
    }
    return told;
  }
  it('are answered alike whether there is such a user or not, and most of them not looked at', async () => {
    const ofAlice = await guess('alice');
    auth.world.advance(hour);
    const ofNobody = await guess('nobody');
    expect(ofNobody).toEqual(ofAlice);
    expect(ofAlice.filter((one) => one.includes('too many failed attempts, try again in')).length).toBe(48);
    expect((await audit()).length).toBeLessThan(80);
  });
});
