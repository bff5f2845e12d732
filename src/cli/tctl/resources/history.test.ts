import { expect, it } from 'vitest';
import { historyText } from './history.ts';

const role = (logins: string[]) => ({
  kind: 'role',
  version: 'v3',
  metadata: { name: 'dba' },
  spec: { allow: { logins } },
});
const made = (minute: number, position: number) => ({
  at: `2026-01-01T00:0${minute}:00.000Z`,
  actor: 'user:ann',
  requestId: `r${minute}`,
  position,
});
const versions = [
  { status: 'created' as const, ...made(1, 4), document: role(['web']) },
  { status: 'updated' as const, ...made(2, 7), document: role(['web', 'root']) },
  { status: 'deleted' as const, ...made(3, 9) },
];

it('prints the newest version first, with what changed, by whom and by which request', () => {
  expect(historyText(versions, false)).toBe(`2026-01-01T00:03:00.000Z deleted by user:ann, request r3, event 9
- kind: role
- version: v3
- metadata:
-   name: dba
- spec:
-   allow:
-     logins:
-       - web
-       - root

2026-01-01T00:02:00.000Z updated by user:ann, request r2, event 7
    allow:
      logins:
        - web
+       - root

2026-01-01T00:01:00.000Z created by user:ann, request r1, event 4
+ kind: role
+ version: v3
+ metadata:
+   name: dba
+ spec:
+   allow:
+     logins:
+       - web
`);
});

it('prints the first whole where what it replaced is left out', () => {
  expect(historyText(versions.slice(1, 2), true)).toContain('\n  kind: role\n');
});

it('does not let an actor of the log write to the terminal', () => {
  const hostile = [{ ...made(1, 4), status: 'deleted' as const, actor: 'user:a\u001b[2J' }];
  expect(historyText(hostile, false)).not.toContain('\u001b');
});
