import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkServerAccess, loginsOf } from '../../../domain/access.ts';
import { expandLogin } from '../../../domain/login-template.ts';
import { checkRoleSpec } from '../../../domain/check-role-spec.ts';
import { adminRole, presetRoles } from '../../../domain/preset-roles.ts';
import { documentOfRole, roleDocument, specOfRole } from '../../../domain/resources/role.ts';
import { mayRequest } from '../../../domain/may-request.ts';
import type { RoleSpec } from '../../../domain/role-spec.ts';
import { checkRuleAccess } from '../../../domain/rule-access.ts';
import type { ResourceKind, RuleVerb } from '../../../domain/rule-subjects.ts';
import { isSameRole } from '../../../domain/same-role.ts';
import { readExpectations } from '../access/read-expectations.ts';
import { parseConfigFile } from '../../../process/configuration/config-file.ts';
import { readDocuments } from '../../../process/configuration/read-documents.ts';

const directory = 'examples/roles';
const files = readdirSync(directory).sort();

function roleIn(file: string): RoleSpec {
  const documents = readDocuments(readFileSync(`${directory}/${file}`, 'utf8'), file);
  expect(documents).toHaveLength(1);
  return specOfRole(roleDocument.parse(documents[0]?.document));
}
const [ci, contractor, developer, onCall, auditor, support] = files.map(roleIn) as [
  RoleSpec,
  RoleSpec,
  RoleSpec,
  RoleSpec,
  RoleSpec,
  RoleSpec,
];

/** Those that the manual names. */
const manualTraits = { logins: ['ann'], mail: ['ann@example.com'] };

const enters = (roles: RoleSpec[], login: string, labels: Record<string, string>, traits = {}): boolean =>
  checkServerAccess({ roles, traits, login, labels }).status === 'allowed';
const does = (roles: RoleSpec[], verb: RuleVerb, kind: ResourceKind, participants: string[] = []): boolean =>
  checkRuleAccess(
    { username: 'ann', traits: {}, roles },
    { verb, resource: { kind, name: 'x', participants } },
  ).status === 'allowed';

describe.each(files)('examples/roles/%s', (file) => {
  it('is a role, and stays the same when it is read and written again', () => {
    const role = roleIn(file);
    expect(`${role.name}.yaml`).toBe(file);
    expect(() => {
      checkRoleSpec(role);
    }).not.toThrow();
    const again = specOfRole(roleDocument.parse(JSON.parse(JSON.stringify(documentOfRole(role)))));
    expect(isSameRole(again, role)).toBe(true);
  });
  it('takes no name that every cluster has', () => {
    expect([adminRole, ...presetRoles].map(({ name }) => name)).not.toContain(roleIn(file).name);
  });
});

describe('docs/access.md', () => {
  const manual = readFileSync('docs/access.md', 'utf8');
  const blocks = [...manual.matchAll(/^```yaml\n(?<text>[^`]+)^```$/gm)].map(
    ({ groups }) => groups?.['text'] ?? '',
  );
  const head = 'kind: role\nversion: v3\nmetadata: {name: r}\nspec:\n  allow:\n';
  const isExpectations = (block: string): boolean => block.startsWith('# expectations.yaml');
  it('has a file of expectations that can be read', () => {
    const [block = '', ...more] = blocks.filter(isExpectations);
    expect([readExpectations(block, 'expectations.yaml').length, more]).toEqual([2, []]);
  });
  const isConfiguration = (block: string): boolean => block.startsWith('auth_service:');
  it.each(blocks.filter(isConfiguration))('has settings that teleport knows: %s', (block) => {
    expect(() => parseConfigFile(block, 'access.md')).not.toThrow();
  });
  const documents = blocks.filter((block) => !isExpectations(block) && !isConfiguration(block));
  it.each(documents)('has roles, or rules, to write: %s', (block) => {
    const text = block.startsWith('rules:') ? head + block.replaceAll(/^/gm, '    ') : block;
    const [first] = readDocuments(text, 'access.md');
    expect(specOfRole(roleDocument.parse(first?.document)).rules?.allow.length).toBeGreaterThan(0);
  });
  it('says of each template which login it gives', () => {
    const rows = [...manual.matchAll(/^\| `(?<entry>[^`|]*\{\{[^`|]*\}\}[^`|]*)` \| `(?<login>[^`]+)`/gm)];
    expect(rows.map(({ groups }) => expandLogin(groups?.['entry'] ?? '', manualTraits))).toEqual(
      rows.map(({ groups }) => [groups?.['login']]),
    );
    expect(rows).toHaveLength(4);
  });
});

it('docs/requests.md has a role to write', () => {
  const manual = readFileSync('docs/requests.md', 'utf8');
  const [, text = ''] = /```yaml\n([^]*?)```/.exec(manual) ?? [];
  const [first] = readDocuments(text, 'requests.md');
  const requester = {
    roles: [specOfRole(roleDocument.parse(first?.document))],
    traits: { team: ['db-eu'] },
  };
  expect(
    ['on-call', 'read-logs', 'dba', 'read-secrets', 'x'].map((role) => mayRequest(requester, role)),
  ).toEqual([true, true, true, false, false]);
});

describe('the examples of roles do what they say', () => {
  it('developer', () => {
    const traits = { logins: ['ann'] };
    expect(enters([developer], 'ann', { env: 'staging-2' }, traits)).toBe(true);
    expect(enters([developer], 'deploy', { env: 'dev' }, traits)).toBe(true);
    expect(enters([developer], 'ann', { env: 'prod' }, traits)).toBe(false);
    expect(enters([developer, onCall], 'root', { env: 'prod' }, traits)).toBe(false);
    expect(does([developer], 'read', 'session', ['ann'])).toBe(true);
    expect(does([developer], 'read', 'session', ['bob'])).toBe(false);
  });
  it('on-call', () => {
    expect(
      checkServerAccess({ roles: [onCall], traits: {}, login: 'root', labels: { env: 'prod' } }),
    ).toMatchObject({
      status: 'allowed',
      options: { clientIdleTimeoutSeconds: 900, disconnectExpiredCert: true, enterOnFullDisk: true },
    });
    expect(does([onCall], 'create', 'lock')).toBe(true);
    expect(does([onCall], 'delete', 'lock')).toBe(false);
  });
  it('contractor', () => {
    const traits = { mail: ['ann@contractor.example.com', 'bob@example.com'] };
    expect(loginsOf({ roles: [contractor], traits })).toEqual(['c-ann']);
    expect(enters([contractor], 'c-ann', { project: 'shop', env: 'dev' }, traits)).toBe(true);
    expect(enters([contractor], 'c-ann', { project: 'shop', env: 'prod-2' }, traits)).toBe(false);
    expect(does([contractor, adminRole], 'list', 'role')).toBe(false);
  });
  it('security-auditor', () => {
    expect(does([auditor], 'list', 'event')).toBe(true);
    expect(does([auditor, adminRole], 'update', 'role')).toBe(false);
    expect(does([auditor, adminRole], 'read', 'role')).toBe(true);
  });
  it('support', () => {
    const requester = { roles: [support], traits: {} };
    expect(['on-call', 'ci'].map((role) => mayRequest(requester, role))).toEqual([true, false]);
    expect(enters([support], 'ann', { env: 'prod' }, { logins: ['ann'] })).toBe(false);
  });
  it('ci', () => {
    expect(enters([ci], 'deploy', { ci: 'allowed' })).toBe(true);
    expect(enters([ci], 'deploy', {})).toBe(false);
    expect(does([ci, adminRole], 'list', 'role')).toBe(false);
  });
});
