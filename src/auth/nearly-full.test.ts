import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { silentLog } from '../base/log-sink.ts';
import { minute, second } from '../base/time.ts';
import { fakeWorld, type FakeWorld } from '../api/testing.ts';
import type { Partition } from '../log/event.ts';
import type { ClusterLog } from '../log/event-log.ts';
import { memoryKeyring } from '../log/keyring.ts';
import { memoryDriver, memoryStore } from '../log/memory-driver.ts';
import { emptyLog } from '../log/open-log.ts';
import { announceSelf } from './host/announce-self.ts';
import { createToken } from './token/create-token.ts';
import { issueHostIdentity } from './host/issue-host-identity.ts';
import { joinHost } from './host/join-host.ts';
import { searchAudit } from './audit/search-audit.ts';
import { turnedAway } from './limits/turned-away.ts';
import { addUser, adminCall, callOf, codeFor, eventsOf, newKeyLine, openTestAuth } from './testing.ts';
import { type TestAuth, tryLogin } from './testing.ts';

/** A store that is nearly full: it refuses `audit` and `presence`, and keeps what is left for `state`. */
let nearlyFull: boolean;
/** What it refuses it may have stored all the same. */
let storesAllTheSame: boolean;
const commits: Partition[] = [];
let world: FakeWorld;
let log: ClusterLog;
let auth: TestAuth;
let url: string;

beforeEach(async () => {
  [nearlyFull, storesAllTheSame] = [false, false];
  world = fakeWorld();
  const driver = memoryDriver(memoryStore());
  log = emptyLog({
    driver: {
      ...driver,
      append: async (partition, after, batch) => {
        commits.push(partition);
        const refuses = nearlyFull && partition !== 'state' && partition !== 'attempts';
        const outcome =
          refuses && !storesAllTheSame ? undefined : await driver.append(partition, after, batch);
        // A driver that cannot prove that nothing was written says so.
        if (outcome !== undefined && refuses) throw new CodedError('ambiguous', 'the store is full, it says');
        if (outcome === undefined)
          throw new CodedError('no_space', `the disk is nearly full: nothing is appended to ${partition}`);
        return outcome;
      },
    },
    keyring: memoryKeyring(world),
    world,
    writer: 'trial',
    sink: silentLog,
  });
  auth = await openTestAuth({ log, world });
  url = await addUser(auth, 'alice', 'correct horse');
});
afterEach(async () => {
  await auth.close();
  await log.close();
});

const good = () => ({ username: 'alice', password: 'correct horse', otp: codeFor(url, world.now(), 1) });
const audit = async (...types: string[]) => {
  const { events } = await searchAudit(auth.deps, adminCall, {
    from: '2000-01-01T00:00:00.000Z',
    to: '2100-01-01T00:00:00.000Z',
    types,
    user: '',
    limit: 1000,
  });
  return events;
};
const guess = (username: string) =>
  tryLogin(auth, { username, password: 'guess', clientAddress: '192.0.2.66:1' });
const wrong = { code: 'access_denied', message: 'invalid username, password or second factor' };
const join = (token: string, key = newKeyLine()) =>
  joinHost(auth.deps, callOf({ kind: 'anyone', address: '10.9.1.7:1' }), {
    hostId: '00000000-0000-4000-8000-0000000b0001',
    nodename: 'n1',
    role: 'Node',
    token,
    publicKey: key,
    additionalPrincipals: [],
    sentAt: world.now(),
  });

describe('while the store takes only what is kept for state', () => {
  it('a login is one append, which says what certificate it gave, told as soon as there is room', async () => {
    nearlyFull = true;
    commits.length = 0;
    const { sshCertificate } = await tryLogin(auth, good());
    expect(sshCertificate).toMatch(/^ssh-ed25519-cert/);
    expect(commits.filter((one) => one !== 'audit')).toEqual(['attempts']);
    expect(await audit('cert.create')).toMatchObject([
      { code: 'TC000I', user: 'alice', cert_type: 'user', roles: ['admin'], logins: ['alice', 'root'] },
    ]);
    expect(await eventsOf(log, 'audit')).toEqual([]);
    nearlyFull = false;
    expect(await audit('cert.create')).toHaveLength(1);
    expect(await eventsOf(log, 'audit')).toHaveLength(2);
  });

  it('who guesses is told the same as ever, whoever he names, and is counted', async () => {
    nearlyFull = true;
    await expect(guess('nobody')).rejects.toMatchObject(wrong);
    await expect(guess('alice')).rejects.toMatchObject(wrong);
    await expect(guess('nobody')).rejects.toMatchObject(wrong);
    nearlyFull = false;
    await auth.close();
    expect(await audit('gap')).toMatchObject([
      { about: 'user.login', count: 2, addresses: { '192.0.2.66': 2 } },
    ]);
  });

  it('what was counted takes little of the reserve', async () => {
    nearlyFull = true;
    const told = async (): Promise<number> =>
      (await eventsOf(log, 'state')).filter(({ stream }) => stream.startsWith('audit-')).length;
    const away = turnedAway(auth.deps.ownAudit, world, auth.deps.hostId, auth.sink, {
      about: 'user.login',
      message: 'refused',
    });
    const rounds = [0, 5 * second, 9 * minute, minute];
    const counts: number[] = [];
    for (const ms of rounds) {
      world.advance(ms);
      away.count('192.0.2.66:1');
      await away.flush();
      counts.push(await told());
    }
    expect(counts).toEqual([1, 1, 1, 2]);
    expect((await audit('gap')).map((gap) => gap['count'])).toEqual([1, 3]);
    await away.close();
  });

  it('a machine joins, and its certificate is in the audit once, also if both took it', async () => {
    const { token } = await createToken(auth.deps, adminCall, { roles: ['Node'], ttlSeconds: 1800 });
    nearlyFull = true;
    const key = newKeyLine();
    await join(token, key);
    expect(await audit('cert.create')).toMatchObject([{ cert_type: 'host', nodename: 'n1' }]);
    storesAllTheSame = true;
    await join(token, key);
    expect(await audit('cert.create')).toHaveLength(2);
    expect(await eventsOf(log, 'audit')).toHaveLength(1);
  });

  it('a machine that is refused is told why', async () => {
    nearlyFull = true;
    await expect(join('guess')).rejects.toMatchObject({ code: 'access_denied' });
    nearlyFull = false;
    await auth.close();
    expect(await audit('gap')).toMatchObject([{ about: 'join_token.use', count: 1 }]);
  });

  it('an auth server starts, and lets people in', async () => {
    nearlyFull = true;
    const other = await openTestAuth({ log, world, hostId: '00000000-0000-4000-8000-0000000000bb' });
    const self = { hostId: other.deps.hostId, nodename: 'auth-2', publicAddresses: [] };
    await announceSelf(other.deps, self, { host: '192.0.2.9', port: 3025 });
    await issueHostIdentity(other.deps, { ...self, role: 'Proxy', additionalPrincipals: [] });
    await tryLogin(other, good());
    await other.close();
    expect((await audit('cert.create')).map((one) => one['cert_type'])).toEqual(['host', 'user']);
  });
});
