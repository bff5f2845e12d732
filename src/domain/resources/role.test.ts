import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adminRole, presetRoles } from '../preset-roles.ts';
import { isSameRole } from '../same-role.ts';
import { documentOfRole, roleDocument, type RoleDocument, roleKind, specOfRole } from './role.ts';

const minimal = { kind: 'role', version: 'v3', metadata: { name: 'dba' }, spec: {} };
const withSpec = (spec: object, metadata: object = {}): object => ({
  ...minimal,
  metadata: { ...minimal.metadata, ...metadata },
  spec,
});
const read = (document: object): RoleDocument => roleDocument.parse(document);

describe('a document of a role', () => {
  it('has the defaults of 4.4 where it says nothing', () => {
    expect(specOfRole(read(minimal))).toEqual({
      name: 'dba',
      options: {
        maxSessionTtlSeconds: 30 * 3600,
        forwardAgent: false,
        portForwarding: true,
        disconnectExpiredCert: false,
        clientIdleTimeoutSeconds: 0,
        maxSessions: 0,
      },
      allow: { logins: [], nodeLabels: {} },
      deny: { logins: [], nodeLabels: {} },
      rules: { allow: [], deny: [] },
    });
  });
  it('is on every server where it allows logins and names no servers; denied ones are where it says', () => {
    const { allow, deny } = specOfRole(
      read(withSpec({ allow: { logins: ['db'] }, deny: { logins: ['root'] } })),
    );
    expect([allow.nodeLabels, deny.nodeLabels]).toEqual([{ '*': ['*'] }, {}]);
    const none = specOfRole(read(withSpec({ allow: { logins: ['db'], node_labels: {} } })));
    expect(none.allow.nodeLabels).toEqual({});
  });
  it.each<[string, object, object]>([
    ['yes', { forward_agent: 'yes' }, { forwardAgent: true }],
    ['off', { port_forwarding: 'off' }, { portForwarding: false }],
    ['a duration', { max_session_ttl: '8h0m0s' }, { maxSessionTtlSeconds: 8 * 3600 }],
    ['no longest session', { max_session_ttl: '0s' }, { maxSessionTtlSeconds: 30 * 3600 }],
    ['never idle', { client_idle_timeout: 'never' }, { clientIdleTimeoutSeconds: 0 }],
    ['an idle time', { client_idle_timeout: '90s' }, { clientIdleTimeoutSeconds: 90 }],
    ['limits', { max_connections: 0, max_sessions: 3 }, { maxSessions: 3 }],
    ['a format', { cert_format: 'oldssh' }, { certFormat: 'oldssh' }],
    ['requests', { request_access: 'reason', request_prompt: 'Ticket?' }, { requestAccess: 'reason' }],
    ['a full disk', { enter_on_full_disk: 'no' }, { enterOnFullDisk: false }],
    ['recordings', { record_session: 'best_effort' }, { recordSession: 'best_effort' }],
    [
      'what 4.4 prints and means nothing here',
      {
        permit_x11_forwarding: false,
        enhanced_recording: ['command', 'network'],
        request_access: 'optional',
      },
      {},
    ],
  ])('reads options: %s', (_, options, expected) => {
    expect(specOfRole(read(withSpec({ options }))).options).toMatchObject(expected);
  });

  it.each<[string, object, string, RegExp]>([
    ['an unknown key', withSpec({ option: {} }), 'spec', /Unrecognized key/],
    ['an unknown key of metadata', withSpec({}, { owner: 'x' }), 'metadata', /Unrecognized key/],
    ['another namespace', withSpec({}, { namespace: 'other' }), 'metadata.namespace', /default/],
    ['a name that is none', withSpec({}, { name: '../x' }), 'metadata.name', /not a role name/],
    [
      'a label that is none',
      withSpec({}, { labels: { 'a b': 'x' } }),
      'metadata.labels',
      /is not a name of a label/,
    ],
    ['another version', { ...minimal, version: 'v5' }, 'version', /v3/],
    ['no time', withSpec({ options: { max_session_ttl: 'soon' } }), 'spec.options.max_session_ttl', /./],
    ['too many', withSpec({ options: { max_sessions: -1 } }), 'spec.options.max_sessions', /./],
    [
      'X11',
      withSpec({ options: { permit_x11_forwarding: true } }),
      'spec.options.permit_x11_forwarding',
      /X11/,
    ],
    [
      'disk in recordings',
      withSpec({ options: { enhanced_recording: ['disk'] } }),
      'spec.options.enhanced_recording',
      /not in this release/,
    ],
    [
      'reviewers of later releases',
      withSpec({ allow: { request: { roles: ['x'], thresholds: [{ approve: 2 }] } } }),
      'spec.allow.request.thresholds',
      /after 4\.4/,
    ],
    [
      'a pattern of roles that is none',
      withSpec({ deny: { request: { roles: ['^($'] } } }),
      'spec.deny.request.roles',
      /./,
    ],
    [
      'a claim without roles',
      withSpec({ allow: { request: { claims_to_roles: [{ claim: 'a', value: 'b', roles: [] }] } } }),
      'spec.allow.request.claims_to_roles.0',
      /no role/,
    ],
    [
      'Kubernetes',
      withSpec({ allow: { kubernetes_groups: ['x'] } }),
      'spec.allow.kubernetes_groups',
      /Kubernetes/,
    ],
    [
      'a mode of joining that is none',
      withSpec({ allow: { join_sessions: [{ name: 'x', roles: ['dev'], modes: ['owner'] }] } }),
      'spec.allow.join_sessions.0.modes',
      /observer/,
    ],
    [
      'joining of no role',
      withSpec({ deny: { join_sessions: [{ roles: [], modes: ['peer'] }] } }),
      'spec.deny.join_sessions.0.roles',
      /^it has no role/,
    ],
    [
      'a pattern of roles whose sessions are joined',
      withSpec({ allow: { join_sessions: [{ roles: ['^($'], modes: ['peer'] }] } }),
      'spec.allow.join_sessions.0.roles',
      /./,
    ],
    [
      'moderation',
      withSpec({ allow: { require_session_join: [{ name: 'x', filter: 'a', modes: ['peer'], count: 1 }] } }),
      'spec.allow.require_session_join',
      /not in this release/,
    ],
    ['a wildcard', withSpec({ allow: { logins: ['*'] } }), 'spec.allow', /^wildcard/],
    ['a wildcard, denied', withSpec({ deny: { logins: ['*'] } }), 'spec.deny', /^wildcard/],
    [
      'a verb that is none',
      withSpec({ allow: { rules: [{ resources: ['user'], verbs: ['list', 'lst'] }] } }),
      'spec.allow.rules.0.verbs',
      /did you mean list\?/,
    ],
    [
      'a condition that is none',
      withSpec({ deny: { rules: [{ resources: ['user'], verbs: ['*'], where: 'equals(' }] } }),
      'spec.deny.rules.0.where',
      /./,
    ],
    [
      'actions',
      withSpec({ allow: { rules: [{ resources: ['user'], verbs: ['*'], actions: ['log("info", "x")'] }] } }),
      'spec.allow.rules.0.actions',
      /not in this release/,
    ],
  ])('is refused with the place of %s', (_, document, place, why) => {
    const result = roleDocument.safeParse(document);
    const [issue] = result.error?.issues ?? [];
    expect(issue?.path.join('.')).toMatch(new RegExp(`^${place.replaceAll('.', '\\.')}`));
    expect(issue?.message).toMatch(why);
  });
});

describe('what is shown of a role', () => {
  it.each([adminRole, ...presetRoles].map((spec) => [spec.name, spec] as const))(
    'is a document that makes the same role again: %s',
    (_, spec) => {
      expect(isSameRole(specOfRole(read(documentOfRole(spec))), spec)).toBe(true);
    },
  );

  const flag = fc.constantFrom(true, false, 'yes', 'no', 'on', 'off', 'true', 'false');
  const time = fc.oneof(
    fc.integer({ min: 1, max: 10_000_000 }).map((s) => `${s}s`),
    fc.constantFrom('never', '1h', '1h30m', '90m', '0s'),
  );
  const maybe = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(of, { nil: undefined });
  const label = fc.constantFrom('env', 'team', 'a.b/c', '*-x');
  const value = fc.constantFrom('prod', 'st*', '^a.*$', '*', 'ünï', 'a: b', '');
  const conditions = fc.record(
    {
      logins: fc.array(fc.constantFrom('root', 'db', '{{internal.logins}}', '{{external.x}}'), {
        maxLength: 3,
      }),
      node_labels: fc.dictionary(label, fc.oneof(value, fc.array(value, { minLength: 1, maxLength: 3 }))),
      rules: fc.array(
        fc.record(
          {
            resources: fc.constantFrom(['user'], ['*'], ['role', 'token']),
            verbs: fc.constantFrom(['*'], ['list', 'read']),
            where: fc.constantFrom('', 'equals(resource.metadata.name, "x")'),
          },
          { requiredKeys: ['resources', 'verbs'] },
        ),
        { maxLength: 3 },
      ),
      join_sessions: fc.array(
        fc.record(
          {
            name: fc.constantFrom('', 'auditors'),
            roles: fc.constantFrom(['dev'], ['*', '^a|b$']),
            kinds: fc.constantFrom(['ssh'], ['*']),
            modes: fc.constantFrom(['observer'], ['peer', 'moderator']),
          },
          { requiredKeys: ['roles', 'modes'] },
        ),
        { maxLength: 2 },
      ),
      request: fc.record(
        {
          roles: fc.constantFrom([], ['dba'], ['*', '^a|b$']),
          claims_to_roles: fc.constantFrom([], [{ claim: 'team', value: 'db-*', roles: ['dba'] }]),
          annotations: fc.constantFrom({}, { team: ['eu', 'us'] }),
        },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: [] },
  );
  const document = fc.record({
    kind: fc.constant('role'),
    version: fc.constant('v3'),
    metadata: fc.record(
      {
        name: fc.constantFrom('dba', 'a@b', 'x.y'),
        description: fc.constantFrom('what for', ''),
        labels: fc.dictionary(fc.constantFrom('owner', 'x/y'), fc.constantFrom('', 'a', 'ü')),
      },
      { requiredKeys: ['name'] },
    ),
    spec: fc.record(
      {
        options: fc.record({
          max_session_ttl: maybe(time),
          forward_agent: maybe(flag),
          port_forwarding: maybe(flag),
          cert_format: maybe(fc.constantFrom('standard', 'oldssh')),
          client_idle_timeout: maybe(time),
          disconnect_expired_cert: maybe(flag),
          max_connections: maybe(fc.constant(0)),
          max_sessions: maybe(fc.nat(1_000_000)),
          enter_on_full_disk: maybe(flag),
        }),
        allow: fc.option(conditions),
        deny: fc.option(conditions),
      },
      { requiredKeys: [] },
    ),
  });
  it('stays the same however often it is written and read', () => {
    let accepted = 0;
    fc.assert(
      fc.property(document, (given) => {
        const first = roleDocument.safeParse(given);
        if (!first.success) return;
        accepted++;
        const spec = specOfRole(first.data);
        const shown = documentOfRole(spec);
        const again = specOfRole(read(shown));
        expect(isSameRole(again, spec)).toBe(true);
        expect(documentOfRole(again)).toEqual(shown);
      }),
      { numRuns: 300 },
    );
    expect(accepted).toBeGreaterThan(100);
  });
  it('has a line of a table', () => {
    const shown = documentOfRole(adminRole);
    expect(roleKind.columns.map(([, content]) => content(shown))).toEqual([
      'admin',
      '{{internal.logins}}',
      '*: *',
      'role:list,create,read,update,delete auth_connector:list,create,read,update,delete session:list,read ' +
        'trusted_cluster:list,create,read,update,delete event:list,read',
    ]);
  });
});
