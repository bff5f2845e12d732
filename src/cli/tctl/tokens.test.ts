import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { DoneUnheard } from '../../api/done-unheard.ts';
import { deleteToken, listTokens as list, type tokenSummary } from '../../api/operations/token.ts';
import { CodedError } from '../../base/errors.ts';
import { AnsweringAuth } from '../testing.ts';
import { testIo } from '../tsh/testing.ts';
import { tctlInvocation } from './testing.ts';
import { listTokens, removeToken } from './tokens.ts';

type Token = z.output<typeof tokenSummary>;

const token = (change: Partial<Token> = {}): Token => ({
  ...{ tokenId: 't1', origin: 'dynamic', roles: ['Node', 'Proxy'], expiresAt: '2026-01-31T08:59:00.000Z' },
  ...{ usesLeft: null, joined: 0, names: [] },
  ...change,
});

describe('tctl tokens ls', () => {
  const printed = async (tokens: Token[], ...flags: string[]): Promise<string> => {
    const io = testIo('');
    const auth = new AnsweringAuth().on(list, () => ({ tokens }));
    expect(await listTokens(tctlInvocation('tokens', 'ls', ...flags), io, auth.ask)).toBe(0);
    return io.out();
  };
  const rows = (text: string): string[] =>
    text
      .trimEnd()
      .split('\n')
      .map((row) => row.replaceAll(/ +/g, ' ').trim());

  it('has columns only for what there is to show', async () => {
    const [title, , ...plain] = rows(await printed([token(), token({ tokenId: 't2', expiresAt: null })]));
    expect(title).toBe('Token Type Expiry Time (UTC)');
    expect(plain).toEqual(['t1 Node,Proxy 31 Jan 26 08:59 UTC (59m0s)', 't2 Node,Proxy never']);
    const limited = { joined: 2, usesLeft: 1, names: ['web-*', 'db-1'] };
    const [titles, , ...all] = rows(await printed([token(limited), token({ tokenId: 't2' })]));
    expect(titles).toBe('Token Type Expiry Time (UTC) Joined Uses left Names');
    expect(all).toEqual([
      't1 Node,Proxy 31 Jan 26 08:59 UTC (59m0s) 2 1 web-*,db-1',
      't2 Node,Proxy 31 Jan 26 08:59 UTC (59m0s) 0 any any',
    ]);
  });

  it('prints resources as JSON, with the id in place of the secret', async () => {
    const both = [token({ names: ['web-*'], usesLeft: 3 }), token({ expiresAt: null, origin: 'static' })];
    expect(JSON.parse(await printed(both, '--format=json'))).toEqual([
      {
        kind: 'token',
        version: 'v2',
        metadata: { name: 't1', expires: '2026-01-31T08:59:00.000Z' },
        spec: { roles: ['Node', 'Proxy'], names: ['web-*'] },
        status: { origin: 'dynamic', joined: 0, uses_left: 3 },
      },
      {
        kind: 'token',
        version: 'v2',
        metadata: { name: 't1', expires: '1970-01-01T00:00:00Z' },
        spec: { roles: ['Node', 'Proxy'] },
        status: { origin: 'static', joined: 0, uses_left: null },
      },
    ]);
  });

  it('says that there are none; in JSON that is an empty list', async () => {
    expect(await printed([])).toBe('No active tokens found.\n');
    expect(await printed([], '--format=json')).toBe('[]\n');
  });
});

describe('tctl tokens rm', () => {
  const remove = async (answer: () => { position: number }, ...argv: string[]) => {
    const [io, auth] = [testIo(''), new AnsweringAuth().on(deleteToken, answer)];
    const ending = removeToken(tctlInvocation('tokens', 'rm', ...argv), io, auth.ask);
    const error = await ending.then(
      () => undefined,
      (e: unknown) => e,
    );
    return { error, calls: auth.calls, out: io.out(), err: io.err() };
  };
  const done = (): { position: number } => ({ position: 7 });
  const failing = (e: Error) => (): never => {
    throw e;
  };

  it('deletes a token by its id or the token itself', async () => {
    const { calls, out } = await remove(done, ' t1 ');
    expect(calls).toEqual([['token.delete', { token: 't1' }]]);
    expect(out).toBe('Token t1 has been deleted\n');
  });

  it('is done where only the answer was lost', async () => {
    const { out, err } = await remove(failing(new DoneUnheard('it broke; it was done')), 't1');
    expect([out, err]).toEqual(['Token t1 has been deleted\n', 'it broke; it was done\n']);
  });

  it('says which one is not there, and passes on other errors', async () => {
    const gone = await remove(failing(new CodedError('not_found', 'no such token')), 't1');
    expect(gone.error).toMatchObject({ code: 'not_found', message: 'key /tokens/t1 is not found' });
    expect(gone.out).toBe('');
    const away = new CodedError('unavailable', 'auth is away');
    expect((await remove(failing(away), 't1')).error).toBe(away);
  });

  it('needs to be told which', async () => {
    for (const argv of [[], [' ']]) {
      const { error, calls } = await remove(done, ...argv);
      expect(error).toMatchObject({ code: 'bad_request', message: 'Need an argument: token' });
      expect(calls).toEqual([]);
    }
  });
});
