import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fakeWorld } from '../../api/testing.ts';
import { memoryLog } from '../../log/memory-log.ts';
import { searchAudit } from '../audit/search-audit.ts';
import { adminCall, callOf, eventsOf, newKeyLine, openTestAuth, type TestAuth } from '../testing.ts';
import { createToken } from '../token/create-token.ts';
import { deleteToken } from '../token/delete-token.ts';
import { listTokens } from '../token/list-tokens.ts';
import { joinHost } from './join-host.ts';

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
const join = (token: string, n: number, at: TestAuth = auth, publicKey = newKeyLine()) =>
  joinHost(at.deps, callOf({ kind: 'anyone', address: `10.9.${n}.7:1000` }), {
    ...{ hostId: hostIdOf(n), nodename: `n${n}`, role: 'Node', token, publicKey },
    ...{ additionalPrincipals: [], sentAt: at.world.now() },
  });
const make = async (at: TestAuth, extra: object = {}): Promise<string> =>
  (await createToken(at.deps, adminCall, { roles: ['Node'], ttlSeconds: 1800, ...extra })).token;
const audit = async (types: string[]) => {
  const wish = { from: '2000-01-01T00:00:00.000Z', to: '2100-01-01T00:00:00.000Z', types };
  return (await searchAudit(auth.deps, adminCall, { ...wish, user: '', limit: 1000 })).events;
};
const denied = (message: string) => ({
  code: 'access_denied',
  message: expect.stringContaining(message) as string,
});

describe('joining with a token that does not count its uses', () => {
  it('is one fact of the machine, which says that it was by that token', async () => {
    const token = await make(auth);
    const before = await auth.log.state.head();
    await join(token, 1);
    await join(staticToken, 2);
    const events = (await eventsOf(auth.log, 'state')).slice(before);
    expect(events.map(({ stream, fact }) => [stream, fact.type])).toEqual(
      [1, 2].map((n) => [`host-${hostIdOf(n)}`, 'host.admitted']),
    );
    expect(events[0]?.cause.actor).toBe(`node:${hostIdOf(1)}`);
    const { tokens } = await listTokens(auth.deps, adminCall, {});
    expect(tokens.map(({ tokenId, joined }) => [tokenId, joined])).toEqual([
      ['static-1', 1],
      [expect.stringMatching(/^[0-9a-f]{16}$/), 1],
    ]);
    expect(await audit(['join_token.use'])).toMatchObject([
      { code: 'TJT02I', host_id: hostIdOf(1), nodename: 'n1', role: 'Node', token_id: tokens[1]?.tokenId },
      {
        code: 'TJT02I',
        host_id: hostIdOf(2),
        token_id: 'static-1',
        'addr.remote': expect.any(String) as string,
      },
    ]);
  });

  it('holds only while the token is what it was when it was read', async () => {
    const log = memoryLog({ world: fakeWorld() });
    const [one, other] = await Promise.all([
      openTestAuth({ log, hostId: hostIdOf(0xaa), nodename: 'auth-1' }),
      openTestAuth({ log, hostId: hostIdOf(0xbb), nodename: 'auth-2' }),
    ]);
    const token = await make(one, { value: 'chosen-by-a-person-7' });
    // What the other server does once this one has read the token, and is about to append.
    const meanwhile = async (act: () => Promise<unknown>, n: number): Promise<unknown> => {
      const append = log.state.append.bind(log.state);
      const appending = vi.spyOn(log.state, 'append').mockImplementationOnce(async (...about) => {
        appending.mockRestore();
        await act();
        return append(...about);
      });
      return join(token, n, one);
    };
    await meanwhile(() => join(token, 1, other), 2);
    await expect(meanwhile(() => deleteToken(other.deps, adminCall, { token }), 3)).rejects.toMatchObject(
      denied('the token was deleted'),
    );
    await make(one, { value: token });
    const anew = async (): Promise<void> => {
      await deleteToken(other.deps, adminCall, { token });
      await make(other, { value: token, uses: 1 });
    };
    // Another token, which counts: the machine asks again.
    await expect(meanwhile(anew, 4)).rejects.toMatchObject({ code: 'conflict' });
    await join(token, 4, one);
    await expect(join(token, 5, other)).rejects.toMatchObject(denied('used up'));
    for (const server of [one, other]) await server.close();
    await log.close();
  });

  it('is written once however often a machine asks with its key, and for another token once more', async () => {
    const [first, second] = [await make(auth), await make(auth)];
    const publicKey = newKeyLine();
    await join(first, 1, auth, publicKey);
    const before = await auth.log.state.head();
    await join(first, 1, auth, publicKey);
    expect(await auth.log.state.head()).toBe(before);
    await join(second, 1, auth, publicKey);
    const { tokens } = await listTokens(auth.deps, adminCall, {});
    expect(tokens.map(({ joined }) => joined)).toEqual([0, 1, 1]);
    expect(await audit(['join_token.use'])).toHaveLength(2);
    expect(await audit(['instance.rekey'])).toEqual([]);
  });

  it('stands in the audit beside that it gave the id of a machine to another key', async () => {
    const token = await make(auth);
    await join(token, 1);
    await join(token, 1);
    expect((await audit(['join_token.use', 'instance.rekey'])).map(({ event }) => event)).toEqual([
      'join_token.use',
      'join_token.use',
      'instance.rekey',
    ]);
    const all = await audit([]);
    expect(new Set(all.map(({ uid }) => uid)).size).toBe(all.length);
  });
});
