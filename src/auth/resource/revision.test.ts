import { expect, it } from 'vitest';
import { revisionOf, withRevision } from './revision.ts';

const user = (spec: object, metadata: object = {}) => ({
  kind: 'user',
  version: 'v2',
  metadata: { name: 'ann', ...metadata },
  spec: { roles: ['a'], ...spec },
});

it('a revision is of what somebody sets, in whatever order it is written', () => {
  const revision = revisionOf(user({ traits: { x: [], y: [] } }));
  expect(revision).toMatch(/^[0-9a-f]{16}$/);
  expect(revisionOf(user({ traits: { y: [], x: [] }, extra: undefined }))).toBe(revision);
  expect(revisionOf(user({ traits: { x: [], y: [] }, status: { is_locked: true }, created_by: {} }))).toBe(
    revision,
  );
  expect(revisionOf(withRevision(user({ traits: { x: [], y: [] } })))).toBe(revision);
  for (const other of [user({}), user({ traits: { x: [], y: ['z'] } }), user({}, { description: 'x' })])
    expect(revisionOf(other)).not.toBe(revision);
});
