import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Recorded } from '../../log/event.ts';
import { addUser, adminCall, eventsOf, openLink, openTestAuth, type TestAuth } from '../testing.ts';
import { createUser } from './create-user.ts';
import { deleteUser } from './delete-user.ts';
import { resetUser } from './reset-user.ts';

let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth();
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});

const create = (username: string) =>
  createUser(auth.deps, adminCall, {
    username,
    roles: ['admin'],
    traits: { logins: [username] },
    inviteTtlSeconds: 3600,
  });
/** The newest event of this type. */
async function factOf(type: string): Promise<Recorded> {
  const found = (await eventsOf(auth.log, 'state')).findLast(({ fact }) => fact.type === type);
  if (found === undefined) throw new Error(`there is no ${type}`);
  return found;
}
/** The event with the secret that a link showed when it was opened. */
async function seedShownBy(token: string): Promise<Recorded> {
  await openLink(auth.deps, token);
  const newest = (await eventsOf(auth.log, 'state')).at(-1);
  if (newest === undefined) throw new Error('nothing was opened');
  await auth.log.state.unseal(newest, 'otpSeed');
  return newest;
}
const badLink = { code: 'access_denied' };

describe('resetting a user', () => {
  it('revokes the link that was open, and destroys the secret that it showed', async () => {
    const { inviteToken } = await create('alice');
    const seed = await seedShownBy(inviteToken);
    await resetUser(auth.deps, adminCall, { username: 'alice', resetTtlSeconds: 3600 });
    const facts = (await eventsOf(auth.log, 'state')).map((event) => event.fact);
    expect(facts).toContainEqual({ type: 'invite.revoked', data: { reason: 'replaced' } });
    await expect(openLink(auth.deps, inviteToken)).rejects.toMatchObject(badLink);
    await auth.deps.afterwards.done();
    await expect(auth.log.state.unseal(seed, 'otpSeed')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('keeps the device, and so its secret', async () => {
    await addUser(auth, 'alice', 'old password');
    const paired = await factOf('user.otp_set');
    await resetUser(auth.deps, adminCall, { username: 'alice', resetTtlSeconds: 3600 });
    await auth.deps.afterwards.done();
    await expect(auth.log.state.unseal(paired, 'otpSeed')).resolves.toBeDefined();
  });
});

describe('deleting a user', () => {
  it('destroys the secrets of its password and its device', async () => {
    await addUser(auth, 'alice', 'old password');
    const [password, device] = [await factOf('user.password_set'), await factOf('user.otp_set')];
    await deleteUser(auth.deps, adminCall, { username: 'alice' });
    const gone = { code: 'not_found' };
    await expect(auth.log.state.unseal(password, 'passwordHash')).rejects.toMatchObject(gone);
    await expect(auth.log.state.unseal(device, 'otpSeed')).rejects.toMatchObject(gone);
  });

  it('revokes the link that is open, and destroys the secret that it showed', async () => {
    const { inviteToken } = await create('alice');
    const seed = await seedShownBy(inviteToken);
    await deleteUser(auth.deps, adminCall, { username: 'alice' });
    const facts = (await eventsOf(auth.log, 'state')).map((event) => event.fact);
    expect(facts).toContainEqual({ type: 'invite.revoked', data: { reason: 'user_deleted' } });
    await expect(openLink(auth.deps, inviteToken)).rejects.toMatchObject(badLink);
    await expect(auth.log.state.unseal(seed, 'otpSeed')).rejects.toMatchObject({ code: 'not_found' });
  });
});
