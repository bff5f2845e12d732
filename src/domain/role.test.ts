import fc from 'fast-check';
import { describe, it } from 'vitest';
import { adminRole } from './preset-roles.ts';
import { role, type RoleCommand, type RoleFact } from './role.ts';
import { type RoleSpec, roleSpec } from './role-spec.ts';
import { expectReplays, scenario } from './testing.ts';

const given = scenario(role);
const created: RoleFact = { type: 'role.created', data: { role: adminRole } };

describe('creating a role', () => {
  it('records it whole', () => {
    given().when({ type: 'create-role', role: adminRole }).then(created);
  });
  it('refuses one that exists, and ensuring it changes nothing', () => {
    given(created).when({ type: 'create-role', role: adminRole }).refused('already_exists');
    given(created)
      .when({ type: 'ensure-role', role: { ...adminRole, name: 'admin' } })
      .then();
  });
  it('makes it again after it was deleted', () => {
    given(created, { type: 'role.deleted', data: { name: 'admin' } })
      .when({ type: 'ensure-role', role: adminRole })
      .then(created);
  });

  const withAllow = (allow: Partial<RoleSpec['allow']>): RoleSpec => ({
    ...adminRole,
    allow: { ...adminRole.allow, ...allow },
  });
  it.each<[string, Partial<RoleSpec['allow']>]>([
    ['wildcard', { logins: ['*'] }],
    ['wildcard', { logins: ['a*'] }],
    ['not a template', { logins: ['{{internal.kubernetes_groups}}'] }],
    ['not a template', { logins: ['{{external.a}} {{external.b}}'] }],
    ['not a template', { logins: ['{{email.domain(external.x)}}'] }],
    ['not a template', { logins: ['}}'] }],
    ['not a valid unix login', { logins: ['-x'] }],
    ["can only have the value '*'", { nodeLabels: { '*': ['prod'] } }],
    ['leave the other labels out', { nodeLabels: { '*': ['*'], env: ['prod'] } }],
    ['no value', { nodeLabels: { env: [] } }],
    ['not a label name', { nodeLabels: { 'a b': ['x'] } }],
    ['not a label name', { nodeLabels: JSON.parse('{"__proto__": ["x"]}') as Record<string, string[]> }],
    ['templates work in logins only', { nodeLabels: { env: ['{{external.env}}'] } }],
    ['cannot be read', { nodeLabels: { env: ['^(a$'] } }],
    ['too large', { nodeLabels: { env: ['^((a{999}){999})$'] } }],
  ])('refuses what has no meaning: %s', (why, allow) => {
    given()
      .when({ type: 'create-role', role: withAllow(allow) })
      .refused('bad_request', why);
    const denying = { ...adminRole, deny: withAllow(allow).allow };
    given().when({ type: 'create-role', role: denying }).refused('bad_request', 'deny: ');
    given(created)
      .when({ type: 'update-role', role: withAllow(allow) })
      .refused('bad_request', 'allow: ');
  });
});

describe('changing a role', () => {
  it('records only a difference', () => {
    const other = { ...adminRole, options: { ...adminRole.options, maxSessions: 2 } };
    given(created).when({ type: 'update-role', role: adminRole }).then();
    given(created)
      .when({ type: 'update-role', role: other })
      .then({ type: 'role.updated', data: { role: other } });
  });
  it('refuses one that is not there', () => {
    given().when({ type: 'update-role', role: adminRole }).refused('not_found');
    given().when({ type: 'delete-role', name: 'admin' }).refused('not_found', 'role "admin" is not found');
  });
});

it('any sequence of commands replays to the same state', () => {
  const spec = fc.constantFrom(
    adminRole,
    roleSpec.parse({ name: 'admin', options: {}, allow: { logins: ['root'] }, deny: {} }),
    roleSpec.parse({ name: 'admin', options: {}, allow: { logins: ['*'] }, deny: {} }),
  );
  const type = fc.constantFrom('create-role' as const, 'ensure-role' as const, 'update-role' as const);
  const put = fc.record({ type, role: spec });
  expectReplays<unknown, RoleCommand, RoleFact>(
    role,
    fc.oneof(put, fc.constant({ type: 'delete-role' as const, name: 'admin' })),
  );
});
