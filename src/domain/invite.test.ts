import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hour, minute } from '../base/time.ts';
import { invite, type InviteCommand, type InviteFact, usableInvite } from './invite.ts';
import { expectReplays, fold, scenario } from './testing.ts';

const given = scenario(invite);
const now = '2026-01-01T12:00:00.000Z';
const expiresAt = '2026-01-01T13:00:00.000Z';
const otpSeed = new Uint8Array(20);
const create = {
  type: 'create-invite',
  now,
  username: 'joe',
  purpose: 'invite',
  ttlMs: hour,
  otpSeed,
} as const;
const created: InviteFact = {
  type: 'invite.created',
  data: { username: 'joe', purpose: 'invite', expiresAt, ttlMs: hour },
};

describe('issuing a link', () => {
  it('lasts as long as asked for, and seals the seed', () => {
    given()
      .when(create)
      .then({ ...created, secrets: { otpSeed } });
  });
  it.each([
    ['invite', 48 * hour],
    ['reset', 24 * hour],
  ] as const)('of %s lasts at most %d ms and at least a minute', (purpose, max) => {
    const of = (ttlMs: number): InviteCommand => ({ ...create, purpose, ttlMs });
    expect(invite.decide(invite.initial, of(max))).toHaveLength(1);
    expect(invite.decide(invite.initial, of(minute))).toHaveLength(1);
    given()
      .when(of(max + 1))
      .refused('bad_request', `maximum token TTL is ${max / hour}h0m0s`);
    for (const ttlMs of [minute - 1, 0, -hour, Number.NaN, minute + 0.5])
      given().when(of(ttlMs)).refused('bad_request');
  });
});

describe('opening a link', () => {
  const addresses = { remote: '198.51.100.7:5000', local: '' };
  const open = {
    type: 'open-invite',
    now: '2026-01-01T12:30:00.000Z',
    openingId: 'o1',
    otpSeed,
    addresses,
  } as const;
  const opened = (openingId: string): InviteFact => ({
    type: 'invite.opened',
    data: { openingId, username: 'joe', purpose: 'invite', addresses },
  });
  const accept = { type: 'accept-invite', now: '2026-01-01T12:59:59.999Z' } as const;

  it('seals a new seed, where one is asked for', () => {
    given(created)
      .when(open)
      .then({ ...opened('o1'), secrets: { otpSeed } });
    given(created)
      .when({ ...open, otpSeed: undefined })
      .then(opened('o1'));
  });
  it('is refused for one that does not work, and when it was opened fifty times', () => {
    given().when(open).refused('access_denied');
    given(created, { type: 'invite.accepted', data: {} }).when(open).refused('access_denied');
    given(created)
      .when({ ...open, now: expiresAt })
      .refused('access_denied');
    given(created, ...Array.from({ length: 50 }, (_, n) => opened(`o${n}`)))
      .when(open)
      .refused('limit_exceeded', 'opened 50 times');
  });
  it('makes only the seed count that was shown last', () => {
    const accepted: InviteFact = { type: 'invite.accepted', data: {} };
    given(created, opened('o1'), opened('o2'))
      .when({ ...accept, openingId: 'o2' })
      .then(accepted);
    for (const openingId of ['o1', null])
      given(created, opened('o1'), opened('o2'))
        .when({ ...accept, openingId })
        .refused('access_denied', 'the one-time code does not fit');
    given(created)
      .when({ ...accept, openingId: null })
      .then(accepted);
    given(created, opened('o1')).when(accept).then(accepted);
  });
});

describe('accepting a link', () => {
  const accept = { type: 'accept-invite', now: '2026-01-01T12:59:59.999Z' } as const;
  it('works until it expires', () => {
    given(created).when(accept).then({ type: 'invite.accepted', data: {} });
    given(created)
      .when({ ...accept, now: expiresAt })
      .refused('access_denied');
  });
  it('works once', () => {
    given(created, { type: 'invite.accepted', data: {} }).when(accept).refused('access_denied');
  });
  it('says the same for an unknown, a used, a replaced and an expired one', () => {
    const messages = [
      [],
      [created, { type: 'invite.accepted', data: {} }],
      [created, { type: 'invite.revoked', data: { reason: 'replaced' } }],
      [created],
    ].map((facts) => {
      try {
        usableInvite(fold(invite, facts as InviteFact[]), { now: expiresAt });
        return 'usable';
      } catch (e) {
        return String(e);
      }
    });
    expect(new Set(messages).size).toBe(1);
    expect(messages[0]).toContain('bad or expired token');
  });
});

describe('revoking a link', () => {
  const revoke = { type: 'revoke-invite', reason: 'replaced' } as const;
  it('ends a pending one and leaves the others', () => {
    given(created)
      .when(revoke)
      .then({ type: 'invite.revoked', data: { reason: 'replaced' } });
    given(created, { type: 'invite.accepted', data: {} }).when(revoke).then();
    given().when(revoke).then();
  });
});

it('any sequence of commands replays to the same state', () => {
  expectReplays(
    invite,
    fc.constantFrom<InviteCommand>(
      create,
      { type: 'accept-invite', now },
      { type: 'accept-invite', now: expiresAt },
      { type: 'revoke-invite', reason: 'user_deleted' },
    ),
  );
});
