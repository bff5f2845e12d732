import { describe, expect, it } from 'vitest';
import type { Recorded, StreamName } from '../log/event.ts';
import { type LiveSecrets, secretsAfter } from './superseded-secrets.ts';

let position = 0;
const event = (stream: StreamName, type: string, ...keyIds: string[]): Recorded => ({
  id: `event-${++position}`,
  stream,
  revision: position,
  position,
  cause: { at: '2026-01-01T00:00:00.000Z', actor: 'admin', requestId: 'r1' },
  fact: { type, data: {} },
  ...(keyIds.length > 0 && {
    sealed: Object.fromEntries(keyIds.map((keyId) => [keyId, { keyId, nonce: '', ciphertext: '' }])),
  }),
});

/** The keys that are superseded by each of the events, in order. */
function superseded(...events: readonly Recorded[]): string[] {
  let live: readonly LiveSecrets[] = [];
  return events.map((one) => {
    const after = secretsAfter(live, one);
    live = after.live;
    return after.superseded.join(' ');
  });
}

describe('which secrets an event supersedes', () => {
  it('a newer password or seed takes the place of the one before, and of no other', () => {
    expect(
      superseded(
        event('user-a', 'user.password_set', 'p1'),
        event('user-a', 'user.otp_set', 'o1'),
        event('user-a', 'user.password_set', 'p2'),
        event('user-a', 'user.logged_in'),
        event('user-a', 'user.otp_set', 'o2'),
      ),
    ).toEqual(['', '', 'p1', '', 'o1']);
  });

  it('a reset ends the password and keeps the seed; a deletion ends all, for good', () => {
    const [p, o] = [event('user-a', 'user.password_set', 'p1'), event('user-a', 'user.otp_set', 'o1')];
    expect(superseded(p, o, event('user-a', 'user.password_reset'))).toEqual(['', '', 'p1']);
    expect(superseded(p, o, event('user-a', 'user.deleted'), event('user-a', 'user.deleted'))).toEqual([
      '',
      '',
      'p1 o1',
      '',
    ]);
  });

  it('a link that was used or taken back keeps none', () => {
    for (const end of ['invite.accepted', 'invite.revoked'])
      expect(superseded(event('invite-x', 'invite.created', 'i1'), event('invite-x', end))).toEqual([
        '',
        'i1',
      ]);
  });

  it('a link that is opened keeps the seed it was given then', () => {
    const [made, opened] = [
      event('invite-x', 'invite.created', 'i1'),
      event('invite-x', 'invite.opened', 'i2'),
    ];
    expect(superseded(made, opened, event('invite-x', 'invite.accepted'))).toEqual(['', 'i1', 'i2']);
    expect(superseded(made, event('invite-x', 'invite.opened'))).toEqual(['', '']);
  });

  it('nothing supersedes an authority, nor does an event of a type that is not known', () => {
    expect(
      superseded(
        event('authority-user', 'authority.created', 'a1'),
        event('authority-user', 'authority.created', 'a2'),
      ),
    ).toEqual(['', '']);
    expect(
      superseded(event('user-a', 'user.password_set', 'p1'), event('user-a', 'user.of_the_future')),
    ).toEqual(['', '']);
  });
});
