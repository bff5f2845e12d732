import { describe, expect, it } from 'vitest';
import { lockedPasswords, lockResource, locksText, passwordResource } from './lock-text.ts';

const now = '2026-01-01T00:00:00.000Z';
const until = '2026-01-01T00:20:00.000Z';
const user = { roles: ['admin'], traits: {}, createdAt: now };
const lock = {
  ...{ lockId: 'l1', target: { kind: 'user' as const, name: 'joe' }, message: 'call the desk' },
  ...{ createdAt: now, by: 'admin' },
} as const;
const tooMany = { status: 'locked', until, reason: 'too many failed logins' } as const;
const users = [
  { ...user, username: 'alice', lock: tooMany },
  {
    ...user,
    username: 'bob',
    lock: { ...tooMany, from: ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'] },
  },
  { ...user, username: 'carol', lock: { status: 'active' as const } },
  { ...user, username: 'dave', lock: { ...tooMany, until: now } },
];

describe('what tctl locks ls prints', () => {
  it('has passwords that failed logins locked: from where, until when, and what ends it', () => {
    const text = locksText([lock], lockedPasswords(users, now), now);
    expect(text).toMatch(/^ID +Target +Message +Expires +By/);
    expect(text).toMatch(/l1 +User:"joe" +call the desk +never +admin/);
    expect(text).toMatch(
      /alice +everywhere new +too many failed logins +2026-01-01T00:20:00.000Z \(20m0s\) +tctl users unlock alice/,
    );
    expect(text).toMatch(/bob +192\.0\.2\.1, 192\.0\.2\.2, 192\.0\.2\.3 and 1 more /);
    expect(text).not.toMatch(/carol|dave/);
  });

  it('says when there is nothing of either', () => {
    expect(locksText([], lockedPasswords(users.slice(2), now), now)).toBe('No locks found.\n');
    expect(locksText([], lockedPasswords(users, now), now)).toMatch(/^Password of +Locked from/);
  });

  it('has a kind of its own for programs: a name that tctl unlock does not know', () => {
    expect(lockedPasswords(users, now).map(passwordResource)).toEqual([
      expect.objectContaining({ kind: 'password_lock', metadata: { name: 'alice', expires: until } }),
      expect.objectContaining({ spec: expect.objectContaining({ target: { user: 'bob' } }) as unknown }),
    ]);
    expect(lockResource(lock)).toMatchObject({ kind: 'lock', metadata: { name: 'l1' } });
  });
});
