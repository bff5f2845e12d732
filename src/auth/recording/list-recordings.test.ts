import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fakeWorld } from '../../api/testing.ts';
import { adminCall, openTestAuth, type TestAuth, userCall } from '../testing.ts';
import { rulesOf } from '../rules-of.ts';
import { listRecordings } from './list-recordings.ts';

const at = '2026-01-01T00:00:00.000Z';
const world = fakeWorld();
let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth({ world, secondFactor: 'off' });
  await store(...[1, 2, 3].map((n) => end(n, 'alice')), ...[4, 5].map((n) => end(n, 'bob')));
});
afterEach(() => auth.close());

const idOf = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
const end = (n: number, user: string): object => ({
  ...{
    event: 'session.end',
    code: 'T2004I',
    uid: idOf(n),
    time: at,
    ei: n,
    user,
    login: 'root',
    sid: idOf(n),
  },
  ...{ session_start: `2025-12-31T23:59:0${n}.000Z`, session_stop: at, participants: [user] },
  ...{ server_id: idOf(90 + (n % 2)), server_hostname: `web-${n % 2}`, session_recording: 'node' },
  ...{ recording_head: 'ab', recording_chunks: 1, recording_bytes: 1, recording_lost_bytes: 0 },
});

async function store(...events: readonly object[]): Promise<void> {
  const stream = 'audit-00000000-0000-4000-8000-0000000000b1';
  const cause = { at: world.now(), actor: 'node', requestId: world.uuid() };
  const expected = await auth.log.audit.revision(stream);
  const facts = events.map((event) => ({ type: 'audit.recorded', data: { event } }));
  await auth.log.audit.append([{ stream, expected, facts }], cause);
}

const wish = {
  ...{ from: '2000-01-01T00:00:00.000Z', to: '2100-01-01T00:00:00.000Z', user: '', node: '', limit: 10 },
};
const numbersOf = (rows: readonly { readonly sid: string }[]): number[] =>
  rows.map(({ sid }) => parseInt(sid.slice(-12), 16));

/** Somebody with these roles, and their rules. */
function person(name: string, ...roles: string[]) {
  const call = userCall(name, roles);
  if (call.caller.kind !== 'user') throw new Error('a person');
  return { ...call, rules: rulesOf(auth.deps)(call.caller) };
}

describe('the list of recordings', () => {
  it('is chosen by user, machine and number', async () => {
    const list = async (more: Partial<typeof wish>) => {
      const { recordings, truncated } = await listRecordings(auth.deps, adminCall, { ...wish, ...more });
      return [numbersOf(recordings), truncated];
    };
    expect(await list({})).toEqual([[1, 2, 3, 4, 5], false]);
    expect(await list({ user: 'bob' })).toEqual([[4, 5], false]);
    expect(await list({ node: 'web-1' })).toEqual([[1, 3, 5], false]);
    expect(await list({ limit: 2 })).toEqual([[4, 5], true]);
    await expect(list({ to: wish.from })).rejects.toMatchObject({ code: 'bad_request' });
  });

  it("has what rules let the caller see, and one's own", async () => {
    const seen = async (call: ReturnType<typeof person>, more: Partial<typeof wish> = {}) =>
      numbersOf((await listRecordings(auth.deps, call, { ...wish, ...more })).recordings);
    expect(await seen(person('alice', 'access'))).toEqual([1, 2, 3]);
    expect(await seen(person('alice', 'access'), { user: 'bob' })).toEqual([]);
    // The newest of one's own, not what is one's own of the newest.
    expect(await seen(person('alice', 'access'), { limit: 1 })).toEqual([3]);
    expect(await seen(person('carol', 'auditor'))).toEqual([1, 2, 3, 4, 5]);
    expect(await seen(person('carol'))).toEqual([]);
  });
});
