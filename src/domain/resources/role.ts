import { z } from 'zod';
import { messageOf } from '../../base/errors.ts';
import { isCleanText } from '../../base/clean-text.ts';
import { anyKey, foreignRecord } from '../../base/foreign-record.ts';
import { longestMs, readDuration } from '../../base/quantities.ts';
import { second } from '../../base/duration.ts';
import { formatGoDuration } from '../../base/go-duration.ts';
import { checkRoleSpec } from '../check-role-spec.ts';
import { joinModes, noJoining, type RoleJoining } from '../role-joining.ts';
import { requestAccess } from '../role-request.ts';
import { roleRule } from '../role-rule.ts';
import { type RoleSpec, roleSpec } from '../role-spec.ts';
import { describedMetadata, documentFlag, documentSchema, isOn, oneOrMore } from './document.ts';
import { type KindOfResource, kindOfResource } from './kind.ts';

/** Go's form, or `never` and the like where 0 has a meaning. */
const duration = z.union([z.string().max(64), z.literal(0)]).superRefine((value, context) => {
  const read = readSeconds(value);
  if (typeof read !== 'number') context.addIssue({ code: 'custom', message: read.fault });
});
const never: readonly string[] = ['never', 'no', '0', '0s', ''];

/** 0 for `never`. */
function readSeconds(value: string | number): number | { readonly fault: string } {
  if (never.includes(String(value))) return 0;
  const read = readDuration(String(value), { min: second, max: longestMs });
  return typeof read === 'number' ? Math.floor(read / second) : read;
}

/** A setting of 4.4 that only has the value by which nothing happens. */
const only = (value: z.ZodType, why: string) =>
  z.unknown().superRefine((given, context) => {
    if (!value.safeParse(given).success) context.addIssue({ code: 'custom', message: why });
  });

const options = z.strictObject({
  max_session_ttl: duration.optional(),
  forward_agent: documentFlag.optional(),
  port_forwarding: documentFlag.optional(),
  permit_x11_forwarding: only(
    z.union([z.literal(false), z.enum(['no', 'off', 'false'])]),
    'X11 is not forwarded by this release: leave it out, or set it to false',
  ).optional(),
  cert_format: z.enum(['standard', 'oldssh']).optional(),
  client_idle_timeout: duration.optional(),
  disconnect_expired_cert: documentFlag.optional(),
  enhanced_recording: only(
    z.array(z.enum(['command', 'network'])),
    'enhanced recording is not in this release: leave it out, or keep [command, network]',
  ).optional(),
  max_connections: only(
    z.literal(0),
    'this release does not limit connections over all servers: leave it out, or set it to 0; max_sessions limits ' +
      'the sessions of one connection',
  ).optional(),
  max_sessions: z.int().nonnegative().max(1_000_000).optional(),
  request_access: z.enum(requestAccess).optional(),
  request_prompt: z
    .string()
    .max(1_000)
    .refine(isCleanText, 'a line without control and invisible characters')
    .optional(),
  enter_on_full_disk: documentFlag.optional(),
  record_session: z.enum(['strict', 'best_effort']).optional(),
});

const noCluster = 'this release serves no Kubernetes cluster: leave it out';
const rule = z.strictObject({
  resources: roleRule.shape.resources,
  verbs: roleRule.shape.verbs,
  where: z.string().max(2_000).optional(),
  actions: only(
    z.array(z.never()),
    'actions of rules are not in this release: every call is in the audit',
  ).optional(),
});
const request = z.strictObject({
  roles: z.array(z.string()).optional(),
  claims_to_roles: z
    .array(z.strictObject({ claim: z.string(), value: z.string(), roles: z.array(z.string()) }))
    .optional(),
  annotations: foreignRecord(anyKey, z.array(z.string())).optional(),
  suggested_reviewers: only(
    z.array(z.never()),
    'suggested reviewers are of the releases after 4.4: leave them out',
  ).optional(),
  thresholds: only(z.array(z.never()), 'thresholds are of the releases after 4.4: leave them out').optional(),
});
const joinSession = z.strictObject({
  name: z.string().optional(),
  roles: z.array(z.string()),
  kinds: z.array(z.enum(['ssh', '*'], 'sessions of this release are of the kind ssh')).optional(),
  modes: z.array(z.enum(joinModes)),
  on_leave: only(z.literal(''), 'it belongs to require_session_join: leave it out').optional(),
});
const conditions = z.strictObject({
  logins: z.array(z.string()).optional(),
  node_labels: foreignRecord(anyKey, oneOrMore).optional(),
  namespaces: only(
    z.array(z.literal('default')),
    'there is one namespace, "default": leave it out',
  ).optional(),
  kubernetes_groups: only(z.array(z.never()), noCluster).optional(),
  kubernetes_users: only(z.array(z.never()), noCluster).optional(),
  rules: z.array(rule).optional(),
  request: request.nullish(),
  join_sessions: z.array(joinSession).optional(),
  require_session_join: only(
    z.array(z.never()),
    'sessions that wait for a moderator are not in this release: leave it out',
  ).optional(),
});

const schema = documentSchema({
  kind: 'role',
  version: 'v3',
  metadata: describedMetadata,
  spec: z.strictObject({
    options: options.nullish(),
    allow: conditions.nullish(),
    deny: conditions.nullish(),
  }),
}).superRefine((document, context) => {
  try {
    checkRoleSpec(specOfRole(document));
  } catch (e) {
    const message = e instanceof z.ZodError ? (e.issues[0]?.message ?? '') : messageOf(e);
    const path = placeIn(message);
    context.addIssue({ code: 'custom', path, message: message.replace(saidByPath, '') });
  }
});
export const roleDocument = schema;
export type RoleDocument = z.infer<typeof schema>;

const saidByPath = /^role "[^"]*", (?:(?:allow|deny)[\w.[\]]*: )?/;

/** `role "x", allow.rules[2].where: …` and the like name where in the file. */
function placeIn(message: string): (string | number)[] {
  const asked = /, (allow|deny)\.request\.(\w+)(?:\[(\d+)\])?/.exec(message);
  if (asked)
    return [
      ...['spec', asked[1] ?? '', 'request', asked[2] ?? ''],
      ...(asked[3] === undefined ? [] : [Number(asked[3])]),
    ];
  const rules = /, (allow|deny)\.(rules|join_sessions)\[(\d+)\](?:\.(\w+))?/.exec(message);
  if (rules) {
    const [, side = '', list = '', at, field] = rules;
    return ['spec', side, list, Number(at), ...(field === undefined ? [] : [field])];
  }
  const side = /, (allow|deny): /.exec(message);
  return side ? ['spec', side[1] ?? ''] : ['metadata', 'name'];
}

/** Of a document that the schema has read, so that it has no fault. */
function secondsOf(value: string | number | undefined): number | undefined {
  const read = value === undefined ? undefined : readSeconds(value);
  return typeof read === 'number' ? read : undefined;
}

const flagOf = (flag: z.infer<typeof documentFlag> | undefined): boolean | undefined =>
  flag === undefined ? undefined : isOn(flag);

/** The role that a document describes. Its defaults are those of 4.4. */
export function specOfRole({ metadata, spec }: RoleDocument): RoleSpec {
  const { options: set, allow, deny } = spec;
  const longest = secondsOf(set?.max_session_ttl);
  return roleSpec.parse({
    name: metadata.name,
    options: {
      // 0 is no time at all for a session: as in 4.4 the default.
      ...(longest !== undefined && longest > 0 && { maxSessionTtlSeconds: longest }),
      forwardAgent: flagOf(set?.forward_agent),
      portForwarding: flagOf(set?.port_forwarding),
      disconnectExpiredCert: flagOf(set?.disconnect_expired_cert),
      clientIdleTimeoutSeconds: secondsOf(set?.client_idle_timeout),
      maxSessions: set?.max_sessions,
      ...given('certFormat', unusualFormat(set?.cert_format)),
      ...given('enterOnFullDisk', flagOf(set?.enter_on_full_disk)),
      ...given('recordSession', set?.record_session),
      ...requestOptionsOf(set),
    },
    allow: conditionsOf(allow, 'allow'),
    deny: conditionsOf(deny, 'deny'),
    rules: { allow: rulesOf(allow), deny: rulesOf(deny) },
    ...given('request', requestSetOf(allow, deny)),
    ...given('joining', joiningOf(allow, deny)),
    ...given('description', metadata.description),
    ...given('labels', metadata.labels),
  });
}

/** Roles that say nothing of it have the usual one: both are stored alike. */
const unusualFormat = (format: 'standard' | 'oldssh' | undefined): 'oldssh' | undefined =>
  format === 'oldssh' ? format : undefined;

const given = <K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> =>
  value === undefined ? {} : ({ [key]: value } as Record<K, V>);

type Conditions = NonNullable<RoleDocument['spec']['allow']>;

/** Who is allowed logins and says no servers is allowed them on all, as in 4.4. */
function conditionsOf(conditions: Conditions | null | undefined, side: 'allow' | 'deny'): object {
  const { logins = [], node_labels: labels } = conditions ?? {};
  const everywhere = side === 'allow' && labels === undefined && logins.length > 0;
  return {
    logins,
    nodeLabels: everywhere
      ? { '*': ['*'] }
      : Object.fromEntries(Object.entries(labels ?? {}).map(([key, value]) => [key, [value].flat()])),
  };
}

const rulesOf = (conditions: Conditions | null | undefined): object[] =>
  (conditions?.rules ?? []).map(({ resources, verbs, where = '' }) => ({ resources, verbs, where }));

const requestOptionsOf = (set: RoleDocument['spec']['options']): object => ({
  ...given('requestAccess', set?.request_access),
  ...given('requestPrompt', set?.request_prompt),
});

/** Undefined where nothing is said of requests: releases before read such a role as they ever did. */
const requestSetOf = (...[allow, deny]: readonly (Conditions | null | undefined)[]): object | undefined =>
  allow?.request == null && deny?.request == null
    ? undefined
    : { allow: requestOf(allow), deny: requestOf(deny) };

function requestOf(conditions: Conditions | null | undefined): object {
  const { roles = [], claims_to_roles: claimsToRoles = [], annotations = {} } = conditions?.request ?? {};
  return { roles, claimsToRoles, annotations };
}

/** Undefined where nothing is said of it: releases before read such a role as they ever did. */
const joiningOf = (...[allow, deny]: readonly (Conditions | null | undefined)[]): RoleJoining | undefined =>
  allow?.join_sessions === undefined && deny?.join_sessions === undefined
    ? undefined
    : { allow: joinRulesOf(allow), deny: joinRulesOf(deny) };

const joinRulesOf = (conditions: Conditions | null | undefined): RoleJoining['allow'] =>
  (conditions?.join_sessions ?? []).map(({ name = '', roles, modes }) => ({ name, roles, modes }));

const documentOfJoining = ({ joining = noJoining }: RoleSpec, side: 'allow' | 'deny') =>
  joining[side].length === 0
    ? undefined
    : joining[side].map(({ name, ...rule }) => ({
        ...given('name', name === '' ? undefined : name),
        ...rule,
      }));

/** Undefined where the role says nothing of requests on that side. */
function documentOfRequest({ request }: RoleSpec, side: 'allow' | 'deny'): Conditions['request'] {
  const { roles = [], claimsToRoles = [], annotations = {} } = request?.[side] ?? {};
  const document = {
    ...(roles.length > 0 && { roles }),
    ...(claimsToRoles.length > 0 && { claims_to_roles: claimsToRoles }),
    ...(Object.keys(annotations).length > 0 && { annotations }),
  };
  return Object.keys(document).length === 0 ? undefined : document;
}

/** As `tctl get` shows it: everything that holds, also what was left out. */
export function documentOfRole(role: RoleSpec): RoleDocument {
  const { options: set } = role;
  const side = (name: 'allow' | 'deny'): Conditions => ({
    logins: role[name].logins,
    node_labels: Object.fromEntries(
      Object.entries(role[name].nodeLabels).map(([key, values]) => [
        key,
        values.length === 1 ? (values[0] ?? '') : values,
      ]),
    ),
    ...(role.rules !== undefined &&
      role.rules[name].length > 0 && {
        rules: role.rules[name].map(({ resources, verbs, where }) => ({
          resources,
          verbs,
          ...(where !== '' && { where }),
        })),
      }),
    ...given('request', documentOfRequest(role, name)),
    ...given('join_sessions', documentOfJoining(role, name)),
  });
  return {
    kind: 'role',
    version: 'v3',
    metadata: {
      name: role.name,
      ...given('description', role.description),
      ...given('labels', role.labels),
    },
    spec: {
      options: {
        max_session_ttl: formatGoDuration(set.maxSessionTtlSeconds * second),
        forward_agent: set.forwardAgent,
        port_forwarding: set.portForwarding,
        cert_format: set.certFormat ?? 'standard',
        client_idle_timeout:
          set.clientIdleTimeoutSeconds === 0
            ? 'never'
            : formatGoDuration(set.clientIdleTimeoutSeconds * second),
        disconnect_expired_cert: set.disconnectExpiredCert,
        max_connections: 0,
        max_sessions: set.maxSessions,
        ...given('enter_on_full_disk', set.enterOnFullDisk),
        ...given('record_session', set.recordSession),
        ...given('request_access', set.requestAccess),
        ...given('request_prompt', set.requestPrompt),
      },
      allow: side('allow'),
      deny: side('deny'),
    },
  };
}

const listed = (labels: Conditions['node_labels']): string =>
  Object.entries(labels ?? {})
    .map(([key, value]) => `${key}: ${[value].flat().join('|')}`)
    .join(', ');

export const roleKind: KindOfResource = kindOfResource<RoleDocument>({
  kind: 'role',
  aliases: ['roles'],
  version: 'v3',
  rules: 'role',
  schema,
  labelled: true,
  columns: [
    ['Role', ({ metadata }) => metadata.name],
    ['Allowed to login as', ({ spec }) => spec.allow?.logins?.join(',') ?? ''],
    ['Node Labels', ({ spec }) => listed(spec.allow?.node_labels)],
    [
      'Access to resources',
      ({ spec }) =>
        (spec.allow?.rules ?? [])
          .map(({ resources, verbs }) => `${resources.join(',')}:${verbs.join(',')}`)
          .join(' '),
    ],
  ],
});
