import type { SystemRole } from './host-info.ts';

/**
 * Kinds of things that a rule of a role names, as 4.4 spells them; `lock` is of its successors, `identity`,
 * `log` and `access` are ours. What comes next (tunnels, connectors) adds its kind with its first
 * operation.
 */
export const resourceKinds = [
  'access',
  'access_request',
  'auth_connector',
  'auth_server',
  'cert_authority',
  'cluster_auth_preference',
  'cluster_config',
  'cluster_name',
  'event',
  'host_cert',
  'identity',
  'lock',
  'log',
  'node',
  'proxy',
  'role',
  'session',
  'token',
  'trusted_cluster',
  'user',
  'user_token',
  'web_session',
] as const;
export type ResourceKind = (typeof resourceKinds)[number];

/** `read` is with secrets; what shows none needs only `readnosecrets`, which `read` implies. */
export const ruleVerbs = ['list', 'create', 'read', 'readnosecrets', 'update', 'delete', 'rotate'] as const;
export type RuleVerb = (typeof ruleVerbs)[number];

/** The resource kind of a host, by the host's role. */
export const kindOfHost = {
  Node: 'node',
  Proxy: 'proxy',
  Auth: 'auth_server',
} as const satisfies Partial<Record<SystemRole, ResourceKind>>;

export const kindsOfHosts: readonly ResourceKind[] = Object.values(kindOfHost);
