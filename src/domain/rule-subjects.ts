import type { SystemRole } from './host-info.ts';

/**
 * Kinds of resources in the rules of a role, as 4.4 spells them; `lock` is from its successors, `identity`
 * and `log` are ours. A further kind (roles, sessions, connectors, trusted clusters) is added with its first
 * operation.
 */
export const resourceKinds = [
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
  'token',
  'user',
  'user_token',
  'web_session',
] as const;
export type ResourceKind = (typeof resourceKinds)[number];

/** `read` includes secrets; an operation that shows none needs only `readnosecrets`. */
export const ruleVerbs = ['list', 'create', 'read', 'readnosecrets', 'update', 'delete'] as const;
export type RuleVerb = (typeof ruleVerbs)[number];

/** The resource kind of a host, by the host's role. */
export const kindOfHost = {
  Node: 'node',
  Proxy: 'proxy',
  Auth: 'auth_server',
} as const satisfies Partial<Record<SystemRole, ResourceKind>>;
