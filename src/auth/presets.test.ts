import { expect, it } from 'vitest';
import { guard } from '../api/guard.ts';
import type { Caller } from '../api/operation.ts';
import { adminRole, presetRoles } from '../domain/preset-roles.ts';
import { checkRoleSpec } from '../domain/check-role-spec.ts';
import { useCases } from './implementations.ts';

const roles = [adminRole, ...presetRoles];

it('the roles that every cluster begins with are roles', () => {
  for (const role of roles) checkRoleSpec(role);
});

/** Whether a person with this role alone is let in to a row at all. */
function opens(row: (typeof useCases)[number]['operation'], role: (typeof roles)[number]): boolean {
  const caller: Caller = { kind: 'user', username: 'ann', roles: [role.name], address: 'a' };
  try {
    guard(row, caller, () => ({ username: 'ann', traits: {}, roles: [role] }));
    return true;
  } catch {
    return false;
  }
}

it('each of them opens these operations and no others', () => {
  const table = useCases
    .map(({ operation }) => operation)
    .sort((a, b) => a.name.localeCompare(b.name))
    .map(
      (row) =>
        `${row.name}: ${
          roles
            .filter((role) => opens(row, role))
            .map(({ name }) => name)
            .join(' ') || '-'
        }`,
    );
  expect(table).toMatchInlineSnapshot(`
    [
      "access-request.certify: admin access editor auditor",
      "access-request.create: admin access editor auditor",
      "access-request.delete: editor",
      "access-request.list: admin access editor auditor",
      "access-request.read: admin access editor auditor",
      "access-request.resolve: editor",
      "access.blame: editor auditor",
      "access.diff: editor auditor",
      "access.explain: editor auditor",
      "access.list: editor auditor",
      "access.replay: editor auditor",
      "access.test: editor auditor",
      "audit.emit: -",
      "audit.search: admin editor auditor",
      "authority.export-keys: -",
      "authority.keys: editor auditor",
      "authority.list: admin access editor auditor",
      "authority.rotate: editor",
      "authority.rotations: editor auditor",
      "cluster.auth-preference: admin access editor auditor",
      "cluster.host-authorities: admin access editor auditor",
      "cluster.ping: admin access editor auditor",
      "cluster.status: editor auditor",
      "host.heartbeat: -",
      "host.join: admin access editor auditor",
      "host.list: admin access editor auditor",
      "host.remove: editor",
      "host.renew: -",
      "identity.list: editor auditor",
      "identity.sign-host: -",
      "identity.sign-user: -",
      "invite.accept: -",
      "invite.read: -",
      "lock.create: editor",
      "lock.delete: editor",
      "lock.list: editor auditor",
      "log.info: -",
      "log.recover: -",
      "log.recovery: -",
      "recording.erase: -",
      "recording.list: admin access editor auditor",
      "recording.open: admin access editor auditor",
      "recording.read: admin access editor auditor",
      "recording.upload: -",
      "request.outcome: admin access editor auditor",
      "resource.create: admin editor",
      "resource.delete: admin editor",
      "resource.export: -",
      "resource.history: admin editor auditor",
      "resource.list: admin editor auditor",
      "resource.read: admin editor auditor",
      "resource.update: admin editor",
      "session.find: admin access editor auditor",
      "session.list: admin access editor auditor",
      "token.create: editor",
      "token.delete: editor",
      "token.list: editor",
      "trust.establish: admin access editor auditor",
      "trust.follow: admin access editor auditor",
      "trust.leaf-authorities: admin access editor auditor",
      "user.begin-code-device: -",
      "user.change-password: -",
      "user.create: editor",
      "user.delete: editor",
      "user.list: editor auditor",
      "user.list-devices: admin access editor auditor",
      "user.log-in: -",
      "user.renew-certificates: admin access editor auditor",
      "user.reset: editor",
      "user.set-code-device: -",
      "user.unlock: editor",
    ]
  `);
});
