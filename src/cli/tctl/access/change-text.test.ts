import { expect, it } from 'vitest';
import { blameText } from './blame.ts';
import { diffText } from './diff.ts';

const at = '2026-01-01T00:00:00.000Z';
const event = (resource: string) => ({
  ...{ type: 'role.updated', resource, at, actor: 'user:ann' },
  ...{ requestId: 'r5', position: 12 },
});

it('a difference is printed with the change of each login below it', () => {
  const row = { user: 'bob', hostId: 'h1', nodename: 'web-1', gained: ['web'], lost: ['root'] };
  const changes = [
    { gained: ['web'], lost: [], at, by: event('role/dev') },
    { gained: [], lost: ['root'], at },
  ];
  expect(diffText({ ...row, changes })).toBe(`bob on web-1 (h1)
  gained web
    2026-01-01T00:00:00.000Z role.updated role/dev by user:ann, request r5, event 12
  lost root
    2026-01-01T00:00:00.000Z a lock had run out by then
`);
  expect(diffText({ ...row, user: 'b\u001bob', changes: [] })).not.toContain('\u001b');
});

it('the changes that grant a login stand below the role that they make grant it', () => {
  const asked = { user: 'bob', login: 'root', isOne: true };
  const reasons = [{ kind: 'allowed' as const, role: 'dev', text: 'role "dev" allows it' }];
  const grants = [{ role: 'dev', by: [event('role/dev')] }];
  const node = { hostId: 'h1', nodename: 'web-1', reasons, grants };
  expect(blameText({ ...node, status: 'allowed', since: { at, by: event('role/dev') } }, asked)).toBe(
    `bob as root on web-1: yes
  role "dev" allows it
    2026-01-01T00:00:00.000Z role.updated role/dev by user:ann, request r5, event 12
  Given last: 2026-01-01T00:00:00.000Z role.updated role/dev by user:ann, request r5, event 12
`,
  );
  expect(blameText({ ...node, status: 'denied', grants: [] }, { ...asked, isOne: false })).toBe(
    `bob as root on web-1 (h1): no
  role "dev" allows it
  It was never granted
`,
  );
});
