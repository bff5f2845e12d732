import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkServerAccess } from './access.ts';
import { type Explanation, explainAccess } from './access-explanation.ts';
import type { LockInForce, Person } from './access-reason.ts';
import { adminRole } from './preset-roles.ts';
import { type RoleSpec, roleSpec, type Traits } from './role-spec.ts';
import { loginsOn, subjectAccess } from './subject-access.ts';

interface Part {
  logins?: string[];
  nodeLabels?: Record<string, string[]>;
}
const roleOf = (name: string, allow: Part, deny: Part = {}): RoleSpec =>
  roleSpec.parse({ name, options: {}, allow, deny });

const personOf = (roles: RoleSpec[], traits: Traits = {}, more: Partial<Person> = {}): Person => ({
  username: 'alice',
  status: 'known',
  traits,
  access: subjectAccess({ roles, traits }),
  missing: [],
  unreadable: [],
  ...more,
});

function explain(
  person: Person,
  login: string,
  labels: Record<string, string>,
  locks: readonly LockInForce[] = [],
): Explanation {
  return explainAccess({ person, login, labels, locks });
}
const textsOf = ({ reasons }: Explanation): readonly string[] => reasons.map(({ text }) => text);

describe('what decides by compiled roles', () => {
  const value = fc.constantFrom(
    'prod',
    'test',
    'dev-1',
    'dev-*',
    '*',
    '^(prod|test)$',
    '^dev-\\d$',
    '^(a$',
    '',
  );
  const nodeLabels = fc.oneof(
    fc.constant({ '*': ['*'] }),
    fc.dictionary(fc.constantFrom('env', 'os', '*', 'constructor'), fc.array(value, { maxLength: 2 }), {
      maxKeys: 2,
    }),
  );
  const logins = fc.array(
    fc.constantFrom('root', 'dev', 'ops', '{{internal.logins}}', 'x-{{external.team}}', '{{nonsense}}'),
    { maxLength: 3 },
  );
  const part = fc.record({ logins, nodeLabels });
  const nothing = fc.constant({ logins: [], nodeLabels: {} });
  const role = fc
    .record({
      name: fc.constantFrom('a', 'b', 'c', 'd'),
      allow: part,
      deny: fc.oneof(nothing, nothing, part),
    })
    .map(({ name, allow, deny }) => roleSpec.parse({ name, options: {}, allow, deny }));
  const traits = fc.record({
    logins: fc.array(fc.constantFrom('root', 'alice', 'not a login'), { maxLength: 2 }),
    team: fc.array(fc.constantFrom('red', 'blue'), { maxLength: 2 }),
  });
  const labels = fc.dictionary(fc.constantFrom('env', 'os'), fc.constantFrom('prod', 'test', 'dev-1', ''), {
    maxKeys: 2,
  });
  const login = fc.constantFrom('root', 'dev', 'ops', 'alice', 'x-red', 'nobody');

  it('is what decides by the roles as they are, and an explanation says so, with what is in the way', () => {
    fc.assert(
      fc.property(fc.array(role, { maxLength: 4 }), traits, labels, login, (roles, has, on, as) => {
        const { status } = checkServerAccess({ roles, traits: has, login: as, labels: on });
        const access = subjectAccess({ roles, traits: has });
        expect(loginsOn(access, on).has(as)).toBe(status === 'allowed');
        const explained = explain(personOf(roles, has), as, on);
        expect(explained.status).toBe(status);
        expect(explained.reasons.length).toBeGreaterThan(0);
        expect(explained.changes.length > 0).toBe(status === 'denied');
      }),
      { numRuns: 400 },
    );
  });

  it('is the same in any order of the roles', () => {
    fc.assert(
      fc.property(fc.array(role, { maxLength: 4 }), traits, labels, login, (roles, has, on, as) => {
        const either = [roles, roles.toReversed()].map(
          (order) => explain(personOf(order, has), as, on).status,
        );
        expect(either[0]).toBe(either[1]);
      }),
    );
  });

  it('is denied with a role that is missing or locked, or a user who is not there, whatever it was before', () => {
    const lock: LockInForce = { id: 'l1', target: { kind: 'user', name: 'alice' }, message: '' };
    fc.assert(
      fc.property(fc.array(role, { maxLength: 3 }), traits, labels, login, (roles, has, on, as) => {
        const all = [
          explain(personOf(roles, has, { missing: ['gone'] }), as, on),
          explain(personOf(roles, has, { missing: ['new'], unreadable: ['new'] }), as, on),
          explain(personOf([], {}, { status: 'missing' }), as, on),
          explain(personOf([], {}, { status: 'unreadable' }), as, on),
          explain(personOf(roles, has), as, on, [lock]),
        ];
        expect(all.map(({ status }) => status)).toEqual(new Array(5).fill('denied'));
      }),
    );
  });
});

describe('an explanation', () => {
  const dev = roleOf('dev', { logins: ['root', 'dev'], nodeLabels: { env: ['test'] } });
  const ops = roleOf('ops', { logins: ['ops', 'x-{{external.team}}'], nodeLabels: { env: ['prod', 'p-*'] } });

  it('of a yes has the role with both its halves', () => {
    const { reasons } = explain(personOf([dev, adminRole], { logins: ['alice', 'root'] }), 'root', {
      env: 'test',
    });
    expect(reasons).toEqual([
      {
        kind: 'allowed',
        role: 'dev',
        place: 'allow.logins[0]',
        text: 'role "dev" allows it: the login by allow.logins[0] (root), the server by allow.node_labels (env=test)',
      },
      expect.objectContaining({ kind: 'allowed', role: 'admin' }),
    ]);
  });

  it('of a no has the roles with one half of it, and what would do', () => {
    const explained = explain(personOf([dev, ops]), 'root', { env: 'prod', os: 'linux' });
    expect(textsOf(explained)).toEqual(['no role allows the login "root" on this server']);
    expect(explained.near.map(({ text }) => text)).toEqual([
      'role "dev" allows the login, but not this server: it is for env=test, here env=prod',
      'role "ops" allows this server, but not the login: it allows ops',
    ]);
    expect(explained.changes).toEqual([
      'a role that allows the login "root" and the label env=prod, as "dev" does for env=test',
    ]);
  });

  it('names the trait that a login could be added to, and the label that a server lacks', () => {
    expect(explain(personOf([adminRole]), 'root', { env: 'prod' }).changes[0]).toBe(
      '"root" added to the trait logins of alice: the role "admin" allows {{internal.logins}} here',
    );
    expect(explain(personOf([ops]), 'x-red', { env: 'prod' }).changes[0]).toMatch(
      /^"red" added to the trait team/,
    );
    expect(explain(personOf([ops]), 'x-', { env: 'prod' }).changes).toHaveLength(1);
    const { near, changes } = explain(personOf([dev]), 'root', {});
    expect(near[0]?.text).toMatch(/it is for env=test, here is no label env$/);
    expect(changes).toEqual([
      'the label env=test on the node: the role "dev" allows the login there',
      'a role that allows the login "root" and every server (*=*): this one has no labels, as "dev" does for env=test',
    ]);
  });

  it('has everything that is in the way, each with what would end it', () => {
    const noProd = roleOf('no-prod', {}, { nodeLabels: { env: ['prod'] } });
    const noRoot = roleOf('no-root', {}, { logins: ['ops', '{{external.forbidden}}'] });
    const person = personOf([ops, noProd, noRoot], { forbidden: ['root'] }, { missing: ['gone'] });
    const lock: LockInForce = { id: 'l1', target: { kind: 'login', name: 'root' }, message: 'away' };
    const explained = explain(person, 'root', { env: 'prod' }, [lock]);
    expect(explained.reasons.map(({ kind, place }) => [kind, place])).toEqual([
      ['role_missing', undefined],
      ['locked', undefined],
      ['denied_labels', 'deny.node_labels'],
      ['denied_login', 'deny.logins[1]'],
      ['not_allowed', undefined],
    ]);
    expect(explained.changes).toEqual([
      'the role "gone" made again, or taken from alice',
      'the lock ended: tctl unlock l1',
      'deny.node_labels of the role "no-prod" without what matches here, or the role taken from alice',
      'deny.logins[1] of the role "no-root" without "root", or the role taken from alice',
      'a role that allows the login "root" and the label env=prod, as "ops" does for other logins',
    ]);
  });

  it('of somebody who does not exist says only that', () => {
    const explained = explain(personOf([], {}, { status: 'missing' }), 'root', {});
    expect(textsOf(explained)).toEqual(['there is no user "alice"']);
    expect(explained.changes).toEqual(['a user "alice": "tctl users add" makes one']);
  });
});
