import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { minute } from '../../base/time.ts';
import { tokenHash } from '../../pki/token.ts';
import { createToken } from './create-token.ts';
import { deleteToken } from './delete-token.ts';
import { joinHost } from '../host/join-host.ts';
import { listTokens } from './list-tokens.ts';
import { searchAudit } from '../audit/search-audit.ts';
import { adminCall, callOf, eventsOf, newKeyLine, openTestAuth, type TestAuth } from '../testing.ts';

const secret = 'a-static-token-0001';
const staticId = 'static-1';
let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth({
    staticTokens: [
      { roles: ['Proxy'], token: secret },
      { roles: ['Node'], token: secret },
      { roles: ['Node'], token: 'short' },
    ],
  });
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});

const create = (extra: object = {}) =>
  createToken(auth.deps, adminCall, { roles: ['Node'], ttlSeconds: 1800, ...extra });
const remove = (token: string) => deleteToken(auth.deps, adminCall, { token });
const dynamic = async () =>
  (await listTokens(auth.deps, adminCall, {})).tokens.filter(({ origin }) => origin === 'dynamic');

describe('making a token', () => {
  it('answers a random secret once, and keeps its hash', async () => {
    const { token, tokenId, expiresAt } = await create();
    expect(token).toMatch(/^[0-9a-f]{32}$/);
    expect(tokenId).toBe(tokenHash(token).slice(0, 16));
    expect(expiresAt).toBe('2026-01-01T00:30:00.000Z');
    const state = await eventsOf(auth.log, 'state');
    expect(state.at(-1)?.stream).toBe(`token-${tokenHash(token)}`);
    expect(
      JSON.stringify([state, auth.sink.lines, await listTokens(auth.deps, adminCall, {})]),
    ).not.toContain(token);
  });

  it('takes a value of the operator, unless it could be guessed, misread, or is taken', async () => {
    const value = 'join-me-if-you-can.1';
    expect(await create({ value })).toMatchObject({ token: value });
    await expect(create({ value })).rejects.toMatchObject({ code: 'already_exists' });
    await expect(create({ value: secret })).rejects.toMatchObject({ code: 'already_exists' });
    for (const bad of ['', 'short', '/etc/a-path-to-a-token', 'sixteen or more words', '$(reboot)aaaaaaaaa'])
      await expect(create({ value: bad })).rejects.toMatchObject({ code: 'bad_request' });
  });

  it.each([
    [{ ttlSeconds: 48 * 3600 + 1 }, 'maximum token TTL is 48h0m0s, asked for 172801s'],
    [{ ttlSeconds: 59 }, 'minimum token TTL is 1m0s, asked for 59s'],
    [{ uses: 10_001 }, 'uses: a number from 1 to 10000'],
  ])('refuses %j and changes nothing', async (extra, message) => {
    const before = await auth.log.state.head();
    await expect(create(extra)).rejects.toThrow(message);
    expect(await auth.log.state.head()).toBe(before);
  });
});

describe('listing tokens', () => {
  it('shows those of the file first, then by expiry, each with what is left of it', async () => {
    await create({ ttlSeconds: 3600, uses: 2 });
    const { token } = await create({ ttlSeconds: 60, uses: 2, roles: ['Proxy', 'Node'] });
    await joinHost(auth.deps, callOf({ kind: 'anyone', address: '192.0.2.1:1' }), {
      hostId: '00000000-0000-4000-8000-0000000000b1',
      nodename: 'n1',
      role: 'Node',
      token,
      publicKey: newKeyLine(),
      additionalPrincipals: [],
      sentAt: auth.world.now(),
    });
    const { tokens } = await listTokens(auth.deps, adminCall, {});
    expect(tokens.map(({ origin, roles, usesLeft, joined }) => [origin, roles, usesLeft, joined])).toEqual([
      ['static', ['Node', 'Proxy'], null, 0],
      ['static', ['Node'], null, 0],
      ['dynamic', ['Node', 'Proxy'], 1, 1],
      ['dynamic', ['Node'], 2, 0],
    ]);
    expect(JSON.stringify(tokens)).not.toContain(secret);
    auth.world.advance(minute);
    expect(await dynamic()).toMatchObject([{ roles: ['Node'] }]);
  });

  it('warns of a static token that can be guessed, without saying it', () => {
    const warned = auth.sink.lines.filter((line) => line.includes('can be guessed'));
    expect(warned).toHaveLength(1);
    expect(warned[0]).toContain('static-3');
    expect(warned[0]).not.toContain('"short"');
  });

  it('calls a token of the file by its line wherever people read: its hash would give a short one away', async () => {
    const joining = {
      ...{ hostId: '00000000-0000-4000-8000-0000000000b2', nodename: 'n2', token: 'short' },
      ...{ publicKey: newKeyLine(), additionalPrincipals: [], sentAt: auth.world.now() },
    };
    const anyone = callOf({ kind: 'anyone', address: '192.0.2.1:1' });
    await joinHost(auth.deps, anyone, { ...joining, role: 'Node' });
    await expect(joinHost(auth.deps, anyone, { ...joining, role: 'Proxy' })).rejects.toThrow(
      'does not allow',
    );
    const { tokens } = await listTokens(auth.deps, adminCall, {});
    const { events } = await searchAudit(auth.deps, adminCall, {
      ...{ from: '2000-01-01T00:00:00.000Z', to: '2100-01-01T00:00:00.000Z' },
      ...{ types: ['join_token.use'], user: '', limit: 10 },
    });
    expect(events.map(({ code, ...rest }) => `${code} ${String(rest['token_id'])}`).sort()).toEqual([
      'TJT02I static-3',
      'TJT02W static-3',
    ]);
    for (const hash of [tokenHash('short'), tokenHash(secret)])
      expect(JSON.stringify([auth.sink.lines, tokens, events])).not.toContain(hash.slice(0, 8));
  });
});

describe('deleting a token', () => {
  it('takes its id or the token itself', async () => {
    const [a, b] = [await create(), await create()];
    await remove(a.tokenId);
    await remove(b.token);
    expect(await dynamic()).toEqual([]);
    const { events } = await searchAudit(auth.deps, adminCall, {
      from: '2000-01-01T00:00:00.000Z',
      to: '2100-01-01T00:00:00.000Z',
      types: ['join_token.create', 'join_token.delete'],
      user: '',
      limit: 10,
    });
    expect(events.map(({ code, ...rest }) => [code, rest['token_id'], rest.user])).toEqual([
      ['TJT00I', a.tokenId, 'admin'],
      ['TJT00I', b.tokenId, 'admin'],
      ['TJT01I', a.tokenId, 'admin'],
      ['TJT01I', b.tokenId, 'admin'],
    ]);
  });

  it('leaves those of the file, in the words of 4.4', async () => {
    for (const name of [secret, staticId])
      await expect(remove(name)).rejects.toMatchObject({
        code: 'bad_request',
        message: `token ${staticId} is statically configured and cannot be removed`,
      });
  });

  it('finds nothing where there is nothing, and does not repeat what was typed', async () => {
    const { token, tokenId } = await create({ ttlSeconds: 60 });
    auth.world.advance(minute);
    const before = await auth.log.state.head();
    for (const name of ['', 'nonsense', token, tokenId])
      await expect(remove(name)).rejects.toMatchObject({
        code: 'not_found',
        message: 'the token is not found',
      });
    expect(await auth.log.state.head()).toBe(before);
  });
});
