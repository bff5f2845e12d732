import type { Call } from '../../src/api/server-deps.ts';
import type { AuthDeps } from '../../src/auth/deps.ts';
import { timeForUser } from '../../src/auth/deciding-time-of.ts';
import { rolesOf } from '../../src/auth/lookups.ts';
import { grantOf } from '../../src/auth/user/issue-certificates.ts';
import { freshForAttempt, recordLogin } from '../../src/auth/user/record-attempt.ts';
import { userNow } from '../../src/auth/user/user-now.ts';
import { causeOf } from '../../src/auth/deps.ts';
import { ownCause } from '../../src/auth/own-cause.ts';
import { noDeadline } from '../../src/base/deadline.ts';
import { hour, plusMs } from '../../src/base/time.ts';
import { userStream } from '../../src/domain/streams.ts';
import { user } from '../../src/domain/user.ts';
import { step, transact } from '../../src/log/execute.ts';
import { findUser } from '../../src/views/users.ts';

const nameOf = (n: number): string => `person-${n}`;
const usersTogether = 50;

/** So many users with a password; its hash is one for all, since to compute it is not the matter here. */
export async function createPeople(deps: AuthDeps, count: number): Promise<void> {
  const addresses = { remote: '192.0.2.7:1', local: '192.0.2.1:3025' };
  for (let from = 0; from < count; from += usersTogether) {
    const names = Array.from({ length: Math.min(usersTogether, count - from) }, (_, i) => nameOf(from + i));
    const hashOf = (username: string): string => `invite of ${username}`;
    const created = await transact(
      deps.log.state,
      names.map((username) =>
        step(user, userStream(username), {
          ...{ type: 'create-user', username, roles: ['admin'], traits: { logins: [username, 'root'] } },
          invite: { hash: hashOf(username), expiresAt: plusMs(deps.world.now(), hour) },
          attemptsApart: true,
        }),
      ),
      ownCause(deps),
    );
    await deps.views.reached(created.position ?? 0);
    const set = await transact(
      deps.log.state,
      names.map((username) =>
        step(user, userStream(username), {
          ...{ type: 'set-credentials', inviteHash: hashOf(username), passwordId: deps.world.uuid() },
          ...{ passwordHash: Buffer.from('scrypt of something'), otp: { status: 'unchanged' }, addresses },
        }),
      ),
      ownCause(deps),
    );
    await deps.views.reached(set.position ?? 0);
  }
}

/** One in so many gives a wrong password. */
const failsEvery = 20;

/**
 * Person `n` logs in: what `user.log-in` does from the moment when the password was checked until
 * certificates are signed, neither of which is of the log. Resolves when the audit has it, too, as it has
 * where logins are not denser than the store is fast. @returns milliseconds until it was recorded.
 */
export async function logInOnce(deps: AuthDeps, n: number, people: number): Promise<number> {
  const username = nameOf(n % people);
  const call: Call = {
    caller: { kind: 'host', role: 'Proxy', hostId: proxyId, address: '10.0.0.1:4711' },
    requestId: deps.world.uuid(),
    deadline: noDeadline,
  };
  const began = performance.now();
  const asOf = await freshForAttempt(deps);
  const entry = findUser(deps.views.users.state(), username);
  if (entry === undefined) throw new Error(`nobody is called ${username}`);
  const { state } = entry;
  const { roles, traits, passwordId } = state;
  const isWrong = n % failsEvery === failsEvery - 1;
  const grant = grantOf({ username, roles: rolesOf(deps.views, roles), traits, ttlSeconds: 12 * 3_600 });
  const source = `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;
  const { facts } = await recordLogin(deps, call, {
    ...{ entry, stream: userStream(username), cause: causeOf(deps, call), asOf },
    attempt: {
      type: 'log-in',
      ...timeForUser(deps, username, userNow(deps, entry)),
      password: isWrong ? { status: 'wrong' } : { status: 'matched', id: passwordId ?? '' },
      otp: { status: 'not_required' },
      addresses: { remote: `${source}:40022`, local: '10.0.0.1:3080' },
      source,
      ...(isWrong ? {} : { certificate: { grant, traits } }),
    },
  });
  const took = performance.now() - began;
  const expected = isWrong ? 'user.login_refused' : 'user.logged_in';
  if (!facts.some(({ type }) => type === expected))
    throw new Error(`${username}: ${JSON.stringify(facts)} in place of ${expected}`);
  await deps.attemptsTeller.tell();
  return took;
}

const proxyId = '00000000-0000-4000-8000-0000000000b1';
