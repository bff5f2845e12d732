import { describe, expect, it } from 'vitest';
import { createUser } from '../user/create-user.ts';
import { readRequestOutcome } from './read-request-outcome.ts';
import { adminCall, hostCall, openTestAuth } from '../testing.ts';

describe('asking what became of a call', () => {
  it('finds it by its id, for its own caller only', async () => {
    const auth = await openTestAuth();
    const { position } = await createUser(auth.deps, adminCall, {
      username: 'alice',
      roles: ['admin'],
      traits: { logins: ['root'] },
      inviteTtlSeconds: 60,
    });
    const { requestId } = adminCall;
    expect(await readRequestOutcome(auth.deps, adminCall, { requestId })).toMatchObject({ position });
    expect(await readRequestOutcome(auth.deps, hostCall('Proxy'), { requestId })).not.toHaveProperty(
      'position',
    );
    expect(await readRequestOutcome(auth.deps, adminCall, { requestId: 'another' })).not.toHaveProperty(
      'position',
    );
    await auth.close();
    await auth.log.close();
  });
});
