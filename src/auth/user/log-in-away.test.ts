import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fakeWorld } from '../../api/testing.ts';
import { CodedError } from '../../base/errors.ts';
import type { ClusterLog, EventLog } from '../../log/event-log.ts';
import { memoryLog } from '../../log/memory-log.ts';
import { guardedLog } from '../log/guarded-log.ts';
import { addRole, addUser, codeFor, eventsOf, openTestAuth, type TestAuth, tryLogin } from '../testing.ts';

let auth: TestAuth;
let log: ClusterLog;
/** The store answers where its head is, and then reads nothing. */
let isAway: boolean;
const away = new CodedError('unavailable', 'the store is away');

beforeEach(async () => {
  const world = fakeWorld();
  isAway = false;
  log = memoryLog({ world });
  const plain = guardedLog(log, () => undefined);
  const reads = (one: EventLog): EventLog => ({
    ...one,
    read: async function* (...from) {
      if (isAway) throw away;
      yield* one.read(...from);
    },
  });
  const { state, attempts } = plain;
  auth = await openTestAuth({
    world,
    log: { ...plain, state: reads(state), attempts: reads(attempts) },
  });
});
afterEach(async () => {
  await auth.close();
  await log.close();
});

const attempt = (username: string, otpUrl: string) => ({
  ...{ username, password: 'correct horse', otp: codeFor(otpUrl, auth.world.now()) },
});
const auditOf = async (): Promise<readonly string[]> =>
  (await eventsOf(log, 'audit')).map(({ fact }) => (fact.data as { event: { event: string } }).event.event);

describe('a login while the store reads nothing', () => {
  it('is answered with that, and its code works again when the store is back', async () => {
    const good = attempt('alice', await addUser(auth, 'alice', 'correct horse'));
    isAway = true;
    await expect(tryLogin(auth, good)).rejects.toBe(away);
    isAway = false;
    await tryLogin(auth, good);
  });

  it('is not reported as refused by roles that it was not decided by', async () => {
    const none = { logins: [], nodeLabels: {} };
    const options = {
      ...{ maxSessionTtlSeconds: 600, forwardAgent: false, portForwarding: false },
      ...{ disconnectExpiredCert: false, clientIdleTimeoutSeconds: 0, maxSessions: 0 },
    };
    await addRole(auth, { name: 'empty', options, allow: none, deny: none });
    const eve = attempt('eve', await addUser(auth, 'eve', 'correct horse', ['empty']));
    isAway = true;
    await expect(tryLogin(auth, eve)).rejects.toBe(away);
    expect(await auditOf()).not.toContain('user.login');
    isAway = false;
    await expect(tryLogin(auth, eve)).rejects.toMatchObject({ code: 'access_denied' });
    expect(await auditOf()).toContain('user.login');
  });

  it('keeps no auth server from ending', async () => {
    const good = attempt('alice', await addUser(auth, 'alice', 'correct horse'));
    isAway = true;
    await expect(tryLogin(auth, good)).rejects.toBe(away);
    await expect(tryLogin(auth, { ...good, password: 'wrong' })).rejects.toBe(away);
  });
});
