import { z } from 'zod';
import { authDefaults } from '../../auth/auth-settings.ts';
import { type QuotaSettings, usualQuotas } from '../../auth/limits/quota-rules.ts';
import { hour, minute, second } from '../../base/duration.ts';
import { messageOf } from '../../base/errors.ts';
import { longestMs } from '../../base/quantities.ts';
import { foreignRecord } from '../../base/foreign-record.ts';
import { clusterName, hostName, labelKey, labelValue } from '../../domain/host-text.ts';
import { usualSessionLimits } from '../../domain/session-limits.ts';
import { labelFault } from '../../domain/label-limits.ts';
import { longestAbsenceMs } from '../../domain/presence.ts';
import { mostConnections, type TunnelStrategy, usualStrategy } from '../../domain/tunnel-strategy.ts';
import { patternFault } from '../../machine/accepted-variables.ts';
import { chooseAlgorithms } from '../../ssh/algorithms.ts';
import {
  address,
  addresses,
  algorithms,
  daysUpTo,
  duration,
  durationUpTo,
  flag,
  networks,
  notYet,
  pins,
  proxyProtocol,
  publicAddresses,
} from './config-scalars.ts';
import { tokenLines } from './static-tokens.ts';
import { objectLocationOf } from './object-location.ts';
import { storageSection } from './storage-schema.ts';

const log = z.strictObject({
  output: z.string().default('stderr'),
  severity: z
    .string()
    .transform((s) => s.toLowerCase())
    .refine((s) => ['info', 'err', 'error', 'debug', 'warn', 'warning'].includes(s), {
      error: (issue) => `unsupported logger severity: '${String(issue.input)}'`,
    })
    .default('info'),
  format: z.enum(['text', 'json']).default('text'),
});

const teleport = z.strictObject({
  nodename: hostName.optional(),
  data_dir: z.string().optional(),
  pid_file: z.string().optional(),
  advertise_ip: z.string().optional(),
  /** How long a new process may take to serve after a reload. */
  restart_timeout: duration.default(120_000).refine((ms) => ms > 0, 'a reload needs a limit'),
  /** How long an old process waits for its clients; `never`: until the last has left. */
  shutdown_timeout: duration.default(0),
  /** How long a process that drains goes on to accept connections while `/readyz` answers 503 already. */
  drain_notice: durationUpTo(hour).default(0),
  /** A machine that is stopped is no longer a member: for machines that do not come back. */
  leave_on_stop: flag.default(false),
  log: log.prefault({}),
  storage: storageSection.prefault({}),
  /** A join token, or the absolute path of a file that holds one. */
  auth_token: z.string().min(1, 'a join token, or the absolute path of a file that holds one').optional(),
  ca_pin: pins.default([]),
  auth_servers: addresses(3025)
    .refine((list) => list.length > 0, 'auth_servers is empty')
    .optional(),
  /** The web address of a proxy, by which this node joins and is reached. */
  proxy_server: addresses(3080)
    .refine((list) => list.length > 0, 'proxy_server is empty')
    .optional(),
  connection_limits: notYet('connection_limits'),
  cache: notYet('cache (every service folds the log itself)'),
  ciphers: algorithms((ciphers) => chooseAlgorithms({ ciphers })),
  kex_algos: algorithms((kexAlgos) => chooseAlgorithms({ kexAlgos })),
  mac_algos: algorithms((macAlgos) => chooseAlgorithms({ macAlgos })),
  ciphersuites: notYet('choosing ciphersuites'),
  ca_signature_algo: notYet('ca_signature_algo (authorities are Ed25519)'),
});

/** What stays in the store of an audit that has an archive, where nothing else is said. */
export const usualKeptInStoreMs = 24 * hour;

const objectLocation = z.string().transform((text, context) => {
  try {
    return objectLocationOf(text);
  } catch (e) {
    context.addIssue({ code: 'custom', message: messageOf(e) });
    return z.NEVER;
  }
});

/** 0: never. */
const wholeSeconds = duration.refine((ms) => ms % second === 0, 'whole seconds, or never');

const sessionRecording = z
  .enum(['node', 'node-sync', 'proxy', 'proxy-sync', 'off'])
  .transform((mode, context) => {
    if (mode === 'proxy' || mode === 'proxy-sync') {
      context.addIssue({
        code: 'custom',
        message: `"${mode}" is not supported yet: use node, node-sync or off`,
      });
      return z.NEVER;
    }
    return mode;
  });

const quota = z.number('a number').int().positive('a number above 0');

const tunnelStrategy = z
  .strictObject({
    type: z.enum(['proxy_peering', 'agent_mesh'], 'proxy_peering or agent_mesh').default('proxy_peering'),
    agent_connection_count: z.number('a number').int().min(1).max(mostConnections).optional(),
  })
  .superRefine(({ type, agent_connection_count: count }, context) => {
    if (type === 'agent_mesh' && count !== undefined)
      context.addIssue({
        code: 'custom',
        path: ['agent_connection_count'],
        message: 'belongs to proxy_peering: with agent_mesh nodes hang on every proxy',
      });
  })
  .transform(({ type, agent_connection_count: connections = usualStrategy.connections }): TunnelStrategy =>
    type === 'agent_mesh' ? { type } : { type, connections },
  );

/** Where a header is due, somebody has to be listed who sends it: nobody else is believed. */
function checkBalancers(
  service: { readonly proxy_protocol: string; readonly trusted_balancers: readonly string[] },
  context: z.RefinementCtx,
): void {
  if (service.proxy_protocol === 'off' || service.trusted_balancers.length > 0) return;
  context.addIssue({
    code: 'custom',
    path: ['proxy_protocol'],
    message:
      `'${service.proxy_protocol}' needs trusted_balancers, the addresses of the balancers that send the header: ` +
      'anybody can write one, so that it counts only from those (Teleport 4.4 believed everybody)',
  });
}

const authService = z.strictObject({
  enabled: flag.default(true),
  listen_addr: address(3025).optional(),
  cluster_name: clusterName.optional(),
  public_addr: publicAddresses(3025).default([]),
  /** Balancers that carry TCP: addresses or networks. */
  trusted_balancers: networks.default([]),
  proxy_protocol: proxyProtocol(['on', 'off']).default('off'),
  /** If it is further behind the store than this, an auth server issues no certificates. */
  max_log_lag: durationUpTo(hour)
    .refine((ms) => ms >= 1_000, 'at least 1s')
    .default(authDefaults.maxLogLagMs),
  /** How long certificates of hosts are valid; they are renewed after two thirds of it. */
  host_certificate_ttl: duration
    .refine((ms) => ms >= minute, 'from 1m to 8760h: certificates of hosts always end')
    .default(authDefaults.hostCertificateTtlMs),
  /** How long a machine may be silent before it is no longer a member; `never`: it stays one. */
  forget_hosts_after: z
    .preprocess((value) => (value === 'never' ? 'no' : value), durationUpTo(longestAbsenceMs))
    .refine((ms) => ms === 0 || ms >= hour, 'never, or at least 1h')
    .transform((ms) => (ms === 0 ? Number.POSITIVE_INFINITY : ms))
    .default(authDefaults.forgetHostsAfterMs),
  /** How long before its end a person's certificate can be renewed without the password; `off`: never. */
  renewal: z
    .preprocess((value) => (value === 'off' ? 'no' : value), durationUpTo(30 * hour))
    .refine((ms) => ms === 0 || ms >= minute, 'off, or at least 1m')
    .default(0),
  authentication: z
    .strictObject({
      type: z
        .string()
        .refine((t) => t === 'local', {
          error: (issue) => `authentication type "${String(issue.input)}" not supported`,
        })
        .default('local'),
      second_factor: z
        .union([z.string(), z.boolean()])
        .transform((value) => (value === false ? 'off' : String(value)))
        .pipe(
          z.enum(['off', 'otp'], {
            error: (issue) => `second factor type "${String(issue.input)}" not supported, use "otp" or "off"`,
          }),
        )
        .default('otp'),
    })
    .prefault({}),
  /** What one machine or person may report, change, join and ask, per hour; `streams` at a time. */
  quotas: z
    .strictObject({
      changes: quota.default(usualQuotas.changes),
      audit_events: quota.default(usualQuotas.audit_events),
      audit_bytes: quota.default(usualQuotas.audit_bytes),
      recording_bytes: quota.default(usualQuotas.recording_bytes),
      recording_calls: quota.default(usualQuotas.recording_calls),
      calls: quota.default(usualQuotas.calls),
      joins: quota.default(usualQuotas.joins),
      streams: quota.default(usualQuotas.streams),
    } satisfies Record<keyof QuotaSettings, z.ZodType>)
    .prefault({}),
  /** On how many proxies nodes hang that are reached through tunnels. */
  tunnel_strategy: tunnelStrategy.prefault({}),
  /** Join tokens that never expire. */
  tokens: tokenLines.default([]),
  /** Where the audit goes that the store need not hold: `file:///path`, `s3://bucket/prefix?region=…`. */
  audit_archive: objectLocation.optional(),
  /** How long it stays in the store. */
  audit_kept_in_store: daysUpTo(longestMs)
    .refine((ms) => ms >= 1_000, 'at least 1s')
    .optional(),
  /** How long it stays in the archive, from when it happened; `never` deletes nothing. */
  audit_retention: daysUpTo(longestMs).optional(),
  /** Where sessions are recorded. Auth servers must agree, as on `tunnel_strategy`. */
  session_recording: sessionRecording.default('node'),
  /** Where recordings are kept: `file:///path`, `s3://bucket/prefix?region=…`. Default: in `data_dir`. */
  audit_sessions_uri: objectLocation.optional(),
  /** Limits of all sessions, beside what roles say; the stricter holds. Auth servers must agree on them. */
  client_idle_timeout: wholeSeconds.default(0),
  disconnect_expired_cert: flag.default(false),
  keep_alive_interval: wholeSeconds.default(usualSessionLimits.keepAliveMs),
  keep_alive_count_max: z.int().min(1).max(1_000).default(usualSessionLimits.keepAliveCountMax),
});

/** Without an archive nothing is moved or deleted: nobody may rely on it. */
function checkArchive(
  {
    audit_archive: archive,
    audit_kept_in_store: kept,
    audit_retention: retention,
  }: Pick<z.output<typeof authService>, 'audit_archive' | 'audit_kept_in_store' | 'audit_retention'>,
  context: z.RefinementCtx,
): void {
  const refuse = (path: string, message: string): void => {
    context.addIssue({ code: 'custom', path: [path], message });
  };
  for (const [key, value] of Object.entries({ audit_kept_in_store: kept, audit_retention: retention }))
    if (value !== undefined && archive === undefined)
      refuse(key, 'needs audit_archive: without it the audit stays in the store, whole');
  if (retention !== undefined && retention > 0 && retention <= (kept ?? usualKeptInStoreMs))
    refuse('audit_retention', 'must be longer than audit_kept_in_store');
}

function checkPattern(pattern: string, context: z.RefinementCtx): void {
  const message = patternFault(pattern);
  if (message !== undefined) context.addIssue({ code: 'custom', message });
}

const sshService = z.strictObject({
  enabled: flag.default(true),
  listen_addr: address(3022).optional(),
  public_addr: publicAddresses(3022).default([]),
  labels: foreignRecord(labelKey, z.coerce.string().pipe(labelValue)).default({}),
  commands: z
    .array(
      z.strictObject({
        name: labelKey,
        command: z.array(z.string()).min(1),
        period: duration.refine((ms) => ms >= 1_000, 'at least 1s'),
      }),
    )
    .default([]),
  permit_user_env: flag.default(false),
  /** Variables that clients may set besides LANG, LC_*, GIT_PROTOCOL, TELEPORT_*: names or patterns. */
  accept_env: z.array(z.string().superRefine(checkPattern)).default([]),
  /** System images often lock the password of every account: with this, keys alone decide. */
  admit_locked_accounts: flag.default(false),
  pam: notYet('pam'),
  enhanced_recording: notYet('enhanced_recording'),
});

/** Labels that auth would refuse are reported with their place in the file. */
const sshServiceWithin = sshService.superRefine(({ labels, commands }, context) => {
  const fault = labelFault(
    labels,
    commands.map(({ name }) => name),
  );
  if (fault === undefined) return;
  const { name, why } = fault;
  const command = commands.findIndex((one) => one.name === name);
  const path =
    name === undefined ? ['labels'] : name in labels ? ['labels', name] : ['commands', command, 'name'];
  context.addIssue({ code: 'custom', path, message: why });
});

const proxyService = z.strictObject({
  enabled: flag.default(true),
  listen_addr: address(3023).optional(),
  web_listen_addr: address(3080).optional(),
  /** For links of nodes; the web port serves them as well. */
  tunnel_listen_addr: address(3024).optional(),
  tunnel_public_addr: publicAddresses(3024).default([]),
  /** For links of other proxies; the web port serves them as well. */
  peer_listen_addr: address(3021).optional(),
  peer_public_addr: publicAddresses(3021).default([]),
  public_addr: publicAddresses(3080).default([]),
  ssh_public_addr: publicAddresses(3023).default([]),
  https_key_file: z.string().optional(),
  https_cert_file: z.string().optional(),
  /** More pairs, chosen by the name that a client asks for. */
  https_keypairs: z.array(z.strictObject({ key_file: z.string(), cert_file: z.string() })).default([]),
  /** Load balancers whose forwarded headers count: addresses or networks. */
  trusted_balancers: networks.default([]),
  /** SSH servers that are not nodes and may be reached anyway. */
  plain_ssh_hosts: addresses(22).default([]),
  /** Where nodes may be in addition: loopback and link-local addresses or networks. */
  node_addresses: z.array(z.string()).default([]),
  /** `ssh`: where the balancer of the web port speaks HTTP. */
  proxy_protocol: proxyProtocol(['on', 'off', 'ssh']).default('off'),
  kubernetes: notYet('kubernetes'),
});

/**
 * Keys that are in the text itself, even with the value of the default: they show the role of this machine in
 * a cluster.
 */
export interface SaidInFile {
  readonly authService: boolean;
  readonly storage: boolean;
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

const saidIn = (text: Readonly<Record<string, unknown>>): SaidInFile => ({
  authService: text['auth_service'] !== undefined,
  storage: isRecord(text['teleport']) && text['teleport']['storage'] !== undefined,
});

/** The whole of teleport.yaml. */
export const fileSchema = z
  .strictObject({
    teleport: z.unknown(),
    auth_service: z.unknown(),
    ssh_service: z.unknown(),
    proxy_service: z.unknown(),
  })
  .partial()
  .transform((text) => ({ ...text, said: saidIn(text) }))
  .pipe(
    z.object({
      teleport: teleport.prefault({}),
      auth_service: authService.superRefine(checkBalancers).superRefine(checkArchive).prefault({}),
      ssh_service: sshServiceWithin.prefault({}),
      proxy_service: proxyService.superRefine(checkBalancers).prefault({}),
      said: z.custom<SaidInFile>(),
    }),
  );
export type ConfigFile = z.infer<typeof fileSchema>;
