import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createToken } from './create-token.ts';
import { joinHost } from '../host/join-host.ts';
import { usualQuotas } from '../limits/quota-rules.ts';
import { adminCall, callOf, eventsOf, newKeyLine, openTestAuth, type TestAuth } from '../testing.ts';

const staticToken = 'static-secret-for-nodes';
let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth({ staticTokens: [{ token: staticToken, roles: ['Node'] }] });
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});

interface Wish {
  readonly token: string;
  readonly n: number;
  readonly from?: string;
}
const join = ({ token, n, from = '10.9.1.7:1' }: Wish, at: TestAuth = auth) =>
  joinHost(at.deps, callOf({ kind: 'anyone', address: from }), {
    hostId: `00000000-0000-4000-8000-0000000b${n.toString(16).padStart(4, '0')}`,
    nodename: `n${n}`,
    role: 'Node',
    token,
    publicKey: newKeyLine(),
    additionalPrincipals: [],
    sentAt: at.world.now(),
  });

describe('a token that anyone may use any number of times', () => {
  it('admits so many an hour at one address, and tells the rest when to come again', async () => {
    const refused: unknown[] = [];
    for (let n = 1; n <= 120; n++) {
      // The gate before it lets twenty a second in.
      auth.world.advance(100);
      await join({ token: staticToken, n }).catch((e: unknown) => refused.push(e));
    }
    expect(refused).toHaveLength(19);
    expect(refused[0]).toMatchObject({
      code: 'quota',
      message: expect.stringMatching(/quota of new machines is used up for token static-1 at 10\./) as string,
      retryAfterMs: expect.any(Number) as number,
    });
    expect(
      JSON.stringify([await eventsOf(auth.log, 'state'), await eventsOf(auth.log, 'audit'), auth.sink.lines]),
    ).not.toContain(staticToken);
    await join({ token: staticToken, n: 200, from: '10.9.9.9:1' });
    const made = await createToken(auth.deps, adminCall, { roles: ['Node'], ttlSeconds: 1800 });
    await join({ token: made.token, n: 201 });
    auth.world.advance(6_000);
    await join({ token: staticToken, n: 120 });
  });

  it('is not used up for others by who is refused at one address, and is at last by many addresses', async () => {
    const few = await openTestAuth({
      log: auth.log,
      hostId: '00000000-0000-4000-8000-0000000000aa',
      staticTokens: [{ token: staticToken, roles: ['Node'] }],
      quotas: { ...usualQuotas, joins: 6 },
    });
    const admitted = async (from: string, n: number): Promise<boolean> => {
      few.world.advance(100);
      return join({ token: staticToken, n, from }, few).then(
        () => true,
        () => false,
      );
    };
    const first = [];
    for (let n = 1; n <= 30; n++) first.push(await admitted('10.9.1.7:1', n));
    expect(first.filter(Boolean)).toHaveLength(1);
    const others = [];
    for (let n = 1; n <= 12; n++) others.push(await admitted(`10.9.2.${n}:1`, 100 + n));
    expect(others).toEqual([...Array<boolean>(9).fill(true), false, false, false]);
    await few.close();
  });
});
