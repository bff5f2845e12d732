import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkServerAccess, loginsOf } from './access.ts';
import { adminRole } from './preset-roles.ts';
import { certificatePermits, effectiveTtlSeconds } from './role-options.ts';
import { type RoleSpec, roleSpec } from './role-spec.ts';
import { canSeeServer, subjectAccess } from './subject-access.ts';

interface Part {
  logins?: string[];
  nodeLabels?: Record<string, string[]>;
}
const roleOf = (
  name: string,
  allow: Part,
  deny: Part = {},
  options: Partial<RoleSpec['options']> = {},
): RoleSpec => roleSpec.parse({ name, options, allow, deny });

const everywhere = { '*': ['*'] };
const decide = (roles: RoleSpec[], login: string, labels: Record<string, string> = {}, traits = {}): string =>
  checkServerAccess({ roles, traits, login, labels }).status;

describe('entering a server', () => {
  it('is allowed by one role that has both the labels and the login', () => {
    const dev = roleOf('dev', { logins: ['dev'], nodeLabels: { env: ['test', 'dev-*'] } });
    expect(decide([dev], 'dev', { env: 'dev-1', os: 'linux' })).toBe('allowed');
    expect(decide([dev], 'dev', { env: 'prod' })).toBe('denied');
    expect(decide([dev], 'dev')).toBe('denied');
    expect(decide([dev], 'root', { env: 'test' })).toBe('denied');
  });

  it('is not allowed by two roles that have half of it each', () => {
    const labels = roleOf('a', { logins: ['other'], nodeLabels: everywhere });
    const login = roleOf('b', { logins: ['root'], nodeLabels: { env: ['dev'] } });
    expect(decide([labels, login], 'root', { env: 'prod' })).toBe('denied');
  });

  it('needs every label of the selector', () => {
    const both = roleOf('a', { logins: ['root'], nodeLabels: { env: ['dev'], os: ['linux'] } });
    expect(decide([both], 'root', { env: 'dev' })).toBe('denied');
    expect(decide([both], 'root', { env: 'dev', os: 'linux' })).toBe('allowed');
  });

  it('is not allowed by an empty selector, without roles, or by the name of a built-in property', () => {
    expect(decide([roleOf('a', { logins: ['root'] })], 'root')).toBe('denied');
    expect(decide([], 'root')).toBe('denied');
    const inherited = roleOf('a', { logins: ['root'], nodeLabels: { constructor: ['*'] } });
    expect(decide([inherited], 'root')).toBe('denied');
  });

  it('is denied by the labels or the login of any role', () => {
    const admin = { ...adminRole, allow: { logins: ['root', 'dev'], nodeLabels: everywhere } };
    const noProd = roleOf('no-prod', {}, { nodeLabels: { env: ['^prod-?.*$'] } });
    const noRoot = roleOf('no-root', {}, { logins: ['{{external.forbidden}}'] });
    expect(decide([admin, noProd], 'dev', { env: 'production' })).toBe('denied');
    expect(decide([noProd, admin], 'dev', { env: 'dev' })).toBe('allowed');
    expect(decide([admin, noRoot], 'root', {}, { forbidden: ['root'] })).toBe('denied');
    expect(decide([admin, noRoot], 'dev', {}, { forbidden: ['root'] })).toBe('allowed');
  });

  it('takes a pattern that cannot be read as: does not allow, does deny', () => {
    const broken = { env: ['^($'] };
    expect(decide([roleOf('a', { logins: ['root'], nodeLabels: broken })], 'root', { env: 'x' })).toBe(
      'denied',
    );
    const denies = roleOf('b', {}, { nodeLabels: broken });
    const allows = roleOf('c', { logins: ['root'], nodeLabels: everywhere });
    expect(decide([denies, allows], 'root', { env: 'x' })).toBe('denied');
    expect(decide([denies, allows], 'root', { os: 'x' })).toBe('allowed');
  });

  it('says which role denies', () => {
    const role = roleOf('strict', {}, { logins: ['root'] });
    expect(checkServerAccess({ roles: [role], traits: {}, login: 'root', labels: {} })).toEqual({
      status: 'denied',
      reason: 'role "strict" denies the login "root"',
    });
  });
});

describe('merging the options of several roles', () => {
  const grant = { logins: ['root'], nodeLabels: everywhere };
  const optionsOf = (...roles: RoleSpec[]): unknown => {
    const access = checkServerAccess({ roles, traits: {}, login: 'root', labels: {} });
    return access.status === 'allowed' ? access.options : access.reason;
  };

  it('adds permissions up and takes the smallest limit that is set', () => {
    const a = roleOf('a', grant, {}, { clientIdleTimeoutSeconds: 600, portForwarding: false });
    const b = roleOf(
      'b',
      grant,
      {},
      { clientIdleTimeoutSeconds: 60, maxSessions: 3, disconnectExpiredCert: true },
    );
    expect(optionsOf(a, b)).toEqual({
      forwardAgent: false,
      portForwarding: true,
      disconnectExpiredCert: true,
      clientIdleTimeoutSeconds: 60,
      maxSessions: 3,
      enterOnFullDisk: false,
      recordSession: 'usual',
    });
  });

  it('lends the agent only by a role that grants the login', () => {
    const other = roleOf('other', { logins: ['dev'], nodeLabels: everywhere }, {}, { forwardAgent: true });
    expect(optionsOf(roleOf('a', grant), other)).toMatchObject({ forwardAgent: false });
    expect(optionsOf(roleOf('a', grant, {}, { forwardAgent: true }), other)).toMatchObject({
      forwardAgent: true,
    });
  });

  it('lets in on a full disk by a role that grants the login: the built-in one unless it says otherwise', () => {
    const may = (...roles: RoleSpec[]): unknown =>
      (optionsOf(...roles) as { readonly enterOnFullDisk?: boolean }).enterOnFullDisk;
    const dev = { logins: ['dev'], nodeLabels: everywhere };
    expect(may(roleOf('a', grant))).toBe(false);
    expect(may(roleOf('a', grant, {}, { enterOnFullDisk: true }))).toBe(true);
    expect(may(roleOf('a', grant), roleOf('other', dev, {}, { enterOnFullDisk: true }))).toBe(false);
    expect(may(roleOf('admin', grant))).toBe(true);
    expect(may(roleOf('admin', grant, {}, { enterOnFullDisk: false }))).toBe(false);
  });

  it('forwards ports unless no role allows it', () => {
    const closed = roleOf('a', grant, {}, { portForwarding: false });
    expect(certificatePermits([closed]).portForwarding).toBe(false);
    expect(certificatePermits([closed, roleOf('b', {})]).portForwarding).toBe(true);
  });
});

describe('the logins of a person', () => {
  it('are those of the traits, with the text around, in order, once', () => {
    const role = roleOf('a', { logins: ['root', 'x-{{internal.logins}}', '{{ internal.logins }}', 'root'] });
    expect(loginsOf({ roles: [role], traits: { logins: ['bob', 'alice'] } })).toEqual([
      'alice',
      'bob',
      'root',
      'x-alice',
      'x-bob',
    ]);
  });

  it('leave out what no unix system would take, and traits that are not there', () => {
    const role = roleOf('a', {
      logins: ['{{internal.logins}}', '{{external.nothing}}', '{{external.constructor}}'],
    });
    const logins = ['-rf', '', 'a b', '*', 'ok', 'x'.repeat(33), 'a\nb', 'ünï', 'svc$', 'a/b'];
    expect(loginsOf({ roles: [role], traits: { logins } })).toEqual(['ok', 'svc$']);
  });

  it('leave out what a role denies', () => {
    const role = roleOf('a', { logins: ['root', 'dev'] }, { logins: ['root'] });
    expect(loginsOf({ roles: [role], traits: {} })).toEqual(['dev']);
  });

  it('leave out those of a role whose sessions must be shorter', () => {
    const short = roleOf('short', { logins: ['root'] }, {}, { maxSessionTtlSeconds: 3600 });
    const long = roleOf('long', { logins: ['dev'] });
    expect(loginsOf({ roles: [short, long], traits: {} }, 3601)).toEqual(['dev']);
    expect(loginsOf({ roles: [short, long], traits: {} }, 3600)).toEqual(['dev', 'root']);
    expect(effectiveTtlSeconds([short, long], 12 * 3600)).toBe(3600);
    expect(effectiveTtlSeconds([long], 60)).toBe(60);
  });
});

const word = fc.constantFrom(
  'root',
  'dev',
  '{{internal.logins}}',
  '{{external.team}}',
  'app-{{external.team}}',
  '{{email.local(external.mail)}}',
  '{{regexp.replace(external.mail, "^(.*)@x$", "$1")}}',
);
const selector = fc.dictionary(
  fc.constantFrom('env', 'os', '*'),
  fc.array(fc.constantFrom('*', 'prod', 'd*', '^(dev|prod)$', '^($'), { minLength: 1, maxLength: 2 }),
  { maxKeys: 2 },
);
const part = fc.record({ logins: fc.array(word, { maxLength: 3 }), nodeLabels: selector });
const anyRole = fc
  .record({
    allow: part,
    deny: fc.oneof({ weight: 3, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: part }),
  })
  .map(({ allow, deny }) => roleOf('r', allow, deny));
const request = fc.record({
  roles: fc.array(anyRole, { maxLength: 4 }),
  traits: fc.record({
    logins: fc.array(fc.constantFrom('alice', 'root', '*'), { maxLength: 2 }),
    team: fc.array(fc.constantFrom('dev', 'ops'), { maxLength: 2 }),
    mail: fc.array(fc.constantFrom('alice@x', 'root@x', 'dev@y', 'ops'), { maxLength: 2 }),
  }),
  login: fc.constantFrom('root', 'dev', 'alice', 'ops', 'app-dev', '*'),
  labels: fc.dictionary(fc.constantFrom('env', 'os'), fc.constantFrom('prod', 'dev', 'x'), { maxKeys: 2 }),
});

describe('for any roles, traits, login and labels', () => {
  const check = (
    holds: (r: typeof request extends fc.Arbitrary<infer R> ? R : never, extra: RoleSpec) => void,
  ): void => {
    fc.assert(fc.property(request, anyRole, holds), { numRuns: 2_000 });
  };

  it('the order of the roles does not matter', () => {
    check((r) => {
      const one = checkServerAccess(r);
      const other = checkServerAccess({ ...r, roles: r.roles.toReversed() });
      expect(other.status).toBe(one.status);
      if (one.status === 'allowed') expect(other).toEqual(one);
    });
  });

  it('a role more that only denies never grants', () => {
    check((r, extra) => {
      const denying = { ...extra, allow: { logins: [], nodeLabels: {} } };
      if (checkServerAccess(r).status === 'denied')
        expect(checkServerAccess({ ...r, roles: [...r.roles, denying] }).status).toBe('denied');
    });
  });

  it('a role that denies the login or every server wins over all others', () => {
    check((r) => {
      const byLogin = roleOf('d', {}, { logins: [r.login] });
      const byLabels = roleOf('d', {}, { nodeLabels: everywhere });
      if (r.login !== '*')
        expect(checkServerAccess({ ...r, roles: [...r.roles, byLogin] }).status).toBe('denied');
      expect(checkServerAccess({ ...r, roles: [byLabels, ...r.roles] }).status).toBe('denied');
    });
  });

  it('two roles that have a half of it each do not add up: one of them allows it alone, or none does', () => {
    check((r) => {
      if (checkServerAccess(r).status === 'denied') return;
      expect(r.roles.map((role) => checkServerAccess({ ...r, roles: [role] }).status)).toContain('allowed');
    });
  });

  it('what is allowed is a login of the person, and the server is one it sees', () => {
    check((r) => {
      if (checkServerAccess(r).status === 'denied') return;
      expect(loginsOf(r)).toContain(r.login);
      expect(canSeeServer(subjectAccess(r), r.labels)).toBe(true);
    });
  });

  it('a longer life never brings more logins', () => {
    check((r) => {
      expect(loginsOf(r)).toEqual(expect.arrayContaining([...loginsOf(r, 40 * 3600)]));
    });
  });
});
