import { roleSpec, type RoleSpec } from './role-spec.ts';
import type { ResourceKind, RuleVerb } from './rule-subjects.ts';

const rule = (resources: readonly ResourceKind[], verbs: readonly RuleVerb[], where = '') => ({
  resources: [...resources],
  verbs: [...verbs],
  where,
});

const readOnly = ['list', 'read'] as const;
const readWrite = ['list', 'create', 'read', 'update', 'delete'] as const;

/** What a person may log in to: the logins of their own trait, on every server. */
const everyServer = { logins: ['{{internal.logins}}'], nodeLabels: { '*': ['*'] } };
const ownSessions = 'contains(resource.spec.participants, user.metadata.name)';

/** Made when it is missing at each start. Source: reference 4.4, the role `admin`. */
export const adminRole: RoleSpec = {
  name: 'admin',
  options: {
    maxSessionTtlSeconds: 30 * 3600,
    forwardAgent: true,
    portForwarding: true,
    disconnectExpiredCert: false,
    clientIdleTimeoutSeconds: 0,
    maxSessions: 0,
  },
  allow: everyServer,
  deny: { logins: [], nodeLabels: {} },
  rules: {
    allow: [
      rule(['role'], readWrite),
      rule(['auth_connector'], readWrite),
      rule(['session'], readOnly),
      rule(['trusted_cluster'], readWrite),
      rule(['event'], readOnly),
    ],
    deny: [],
  },
};

/** To log in everywhere, and to administer nothing. */
const accessRole = roleSpec.parse({
  name: 'access',
  description: 'Log in to every server with the logins of the user.',
  options: {},
  allow: everyServer,
  deny: {},
  rules: { allow: [rule(['session'], readOnly, ownSessions)] },
});

/** To administer the cluster, and to log in nowhere. */
const editorRole = roleSpec.parse({
  name: 'editor',
  description: 'Administer users, roles, machines, tokens, locks and settings; log in to no server.',
  options: {},
  allow: {},
  deny: {},
  rules: {
    allow: [
      rule(['user', 'user_token', 'role', 'token', 'lock', 'auth_connector', 'trusted_cluster'], readWrite),
      rule(['access_request'], ['list', 'read', 'update', 'delete']),
      rule(['cluster_auth_preference', 'cluster_config'], ['list', 'read', 'update']),
      rule(['node', 'proxy', 'auth_server'], ['list', 'read', 'delete']),
      rule(['cert_authority'], ['list', 'readnosecrets', 'rotate']),
      rule(['cluster_name', 'identity', 'log', 'access', 'event'], readOnly),
    ],
  },
});

/** To see what happened and who may do what, and to change nothing. */
const auditorRole = roleSpec.parse({
  name: 'auditor',
  description: 'Read events, sessions, users, roles and who may do what; change nothing.',
  options: {},
  allow: {},
  deny: {},
  rules: {
    allow: [
      rule(['event', 'session', 'access', 'access_request'], readOnly),
      rule(
        ['user', 'role', 'lock', 'identity', 'node', 'proxy', 'auth_server', 'log', 'cluster_name'],
        ['list', 'readnosecrets'],
      ),
      rule(['cert_authority', 'cluster_auth_preference', 'cluster_config'], ['list', 'readnosecrets']),
    ],
  },
});

/** Made once, with the cluster; those that are deleted stay so. */
export const presetRoles: readonly RoleSpec[] = [accessRole, editorRole, auditorRole];
