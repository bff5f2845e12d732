import { expect, it } from 'vitest';
import { usersText } from './list-users.ts';

const now = '2026-01-01T00:00:00.000Z';
const user = {
  roles: ['access', 'auditor'],
  traits: { logins: ['root', 'joe'] },
  createdAt: now,
  lock: { status: 'active' },
} as const;
const until = '2026-01-01T00:20:00.000Z';
const lock = { status: 'locked', until, reason: 'too many failed logins' } as const;
type Listed = Parameters<typeof usersText>[0][number];
const textOf = (...users: readonly object[]): string[] =>
  usersText(users as readonly Listed[], now)
    .split('\n')
    .map((line) => line.trimEnd());

it('lists roles, second factor and last login after the columns of 4.4', () => {
  const joe = { ...user, username: 'joe', secondFactor: 'otp', lastLoginAt: '2025-12-31T08:00:00.123Z' };
  const amy = { ...user, username: 'amy', secondFactor: 'none', lastLoginAt: null };
  expect(textOf(joe, amy)).toEqual([
    'User Allowed logins Roles          Second factor Last login',
    '---- -------------- -------------- ------------- --------------------',
    'joe  root,joe       access,auditor otp           2025-12-31T08:00:00Z',
    'amy  root,joe       access,auditor none          never',
    '',
  ]);
});

it('claims nothing that an auth server of an earlier release does not report', () => {
  expect(textOf({ ...user, username: 'old' })[2]).toBe('old  root,joe       access,auditor');
});

it('has a column for locks while one is in force', () => {
  const [titles, , joe] = textOf({ ...user, username: 'joe', lock, secondFactor: 'none', lastLoginAt: null });
  expect(titles).toMatch(/Last login Status$/);
  expect(joe).toMatch(/never +locked for 20m0s \(too many failed logins\)$/);
  expect(textOf({ ...user, username: 'joe', lock: { ...lock, until: now } })[0]).not.toContain('Status');
});
