import { expect, it } from 'vitest';
import type { AuditEvent } from './audit-event.ts';
import { entryOf } from './replayed-entry.ts';

const event = (more: object): AuditEvent => ({
  ...{ event: 'auth', code: 'T3007W', uid: 'u', time: '2026-01-01T00:00:00.000Z', ei: 0 },
  ...more,
});
const refused = (error: string) => entryOf(event({ error, user: 'x', login: 'x', server_id: 'h' }));

it('is of a refusal by roles, of whom it was, and of no other', () => {
  for (const why of [
    'role "a" denies servers with these labels',
    'role "a" denies the login "root"',
    'no role allows the login "root" on this server',
    'there is no role gone',
    'it has no role',
  ])
    expect(refused(`user ann@example.com@c1 is not authorized to login as root@c1: ${why}`)).toMatchObject({
      status: 'refused',
      user: 'ann@example.com',
      login: 'root',
      hostId: 'h',
    });
  for (const error of [
    'user ann@c1 is not authorized to login as root@c1: its certificate is of an authority that is not trusted',
    'user ann@c1 is not authorized to login as root@c1: locked',
    'user ann@c1 is not authorized to login as root@c2: it has no role',
    'ssh: principal "root" not in the set of valid principals',
    `user ann@c1 is not authorized to login as ${'@'.repeat(5_000)}@c1: it has no role`,
    '',
  ])
    expect(refused(error)).toBeUndefined();
});

it('is of a session with the labels that its server had', () => {
  const start = { event: 'session.start', code: 'T2000I', user: 'ann', login: 'root', sid: 's' };
  expect(entryOf(event({ ...start, server_hostname: 'n', server_labels: { env: 'a' } }))).toMatchObject({
    ...{ status: 'entered', user: 'ann', login: 'root', nodename: 'n', sid: 's', labels: { env: 'a' } },
  });
  expect(entryOf(event({ ...start, login: undefined }))).toBeUndefined();
  expect(entryOf(event({ ...start, code: 'T2004I' }))).toBeUndefined();
});
