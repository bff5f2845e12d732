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

  it('a key of an authority that is withdrawn: by the end of a rotation, and all but the new one when it is replaced', () => {
    const at = '2026-01-01T00:00:00.000Z';
    const announcement = { text: '', signatures: [] };
    const key = { keyId: 'third', sshPublicKey: '', tlsCertificatePem: '', activeFrom: at };
    const data = { rotationId: 'r', at, by: 'admin', announcement };
    const brought = (type: string, keyId: string): Recorded =>
      event('authority-host', type, `ssh.${keyId}`, `tls.${keyId}`);
    const begun = [brought('authority.created', 'first'), brought('authority.rotation_started', 'second')];
    const finished = (keyId: string): Recorded => ({
      ...event('authority-host', ''),
      fact: { type: 'authority.rotation_finished', data: { ...data, keyId } },
    });
    const replaced = { type: 'authority.replaced', data: { ...data, key } };
    expect(superseded(...begun, finished('second'))).toEqual(['', '', 'ssh.first tls.first']);
    // It was rolled back.
    expect(superseded(...begun, finished('first'))).toEqual(['', '', 'ssh.second tls.second']);
    const both = 'ssh.first tls.first ssh.second tls.second';
    expect(superseded(...begun, { ...brought('', 'third'), fact: replaced }, finished('third'))).toEqual([
      ...['', '', both, ''],
    ]);
    const rolledBack = { type: 'authority.rotation_rolled_back', data };
    expect(superseded(...begun, { ...event('authority-host', ''), fact: rolledBack })).toEqual(['', '', '']);
  });

  it('nothing else supersedes an authority, nor does an event of a type that is not known', () => {
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
