import { z } from 'zod';
import { messageOf } from '../base/errors.ts';
import { parseHostPort } from '../base/addresses.ts';

const truths = ['yes', 'yeah', 'y', 'true', '1', 'on'];
const falsehoods = ['no', 'nope', 'n', 'false', '0', 'off'];

/** yes, yeah, y, true, 1, on / no, nope, n, false, 0, off. Anything else is refused (4.4 took it for `no`). */
const flag = z.union([z.boolean(), z.string(), z.number()]).transform((value, context) => {
  const text = String(value).toLowerCase();
  if (truths.includes(text)) return true;
  if (falsehoods.includes(text)) return false;
  context.addIssue({ code: 'custom', message: `expected yes or no, got '${text}'` });
  return z.NEVER;
});

/** Go's form of a duration: `1h30m`, `10s`, `500ms`. */
export function parseDuration(text: string): number | undefined {
  const unitMs: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g))
    total += Number(amount) * (unitMs[unit ?? ''] ?? Number.NaN);
  return total;
}

/** Milliseconds; 0 for `never`, `no`, `0`. */
const duration = z.union([z.string(), z.number(), z.boolean()]).transform((value, context) => {
  const text = String(value);
  if (['never', 'no', '0', 'false'].includes(text)) return 0;
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  context.addIssue({
    code: 'custom',
    message: /^\d+$/.test(text)
      ? `time: missing unit in duration "${text}"`
      : `invalid duration "${text}", accepted format '10h' or '1m30s'`,
  });
  return z.NEVER;
});

const address = (defaultPort: number) =>
  z.string().transform((text, context) => {
    try {
      return parseHostPort(text, defaultPort);
    } catch (e) {
      context.addIssue({ code: 'custom', message: messageOf(e) });
      return z.NEVER;
    }
  });

/** One address or a list. */
const addresses = (defaultPort: number) =>
  z.union([z.array(z.string()), z.string()]).transform((value, context) => {
    const parsed = [value].flat().map((text) => address(defaultPort).safeParse(text));
    const bad = parsed.find((p) => !p.success);
    if (bad?.error) {
      context.addIssue({ code: 'custom', message: bad.error.issues[0]?.message ?? 'bad address' });
      return z.NEVER;
    }
    return parsed.flatMap((p) => (p.success ? [p.data] : []));
  });

/** A key users of 4.4 know and this release cannot serve: refused when present, so that nobody relies on it. */
const notYet = (what: string) =>
  z
    .unknown()
    .superRefine((value, context) => {
      if (value !== undefined)
        context.addIssue({ code: 'custom', message: `${what} is not in this release; remove the key` });
    })
    .optional();

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

const storage = z.strictObject({
  type: z
    .string()
    .default('dir')
    .refine((type) => type === 'dir', {
      error: (issue) =>
        ['etcd', 'dynamodb', 'firestore', 'sqlite'].includes(String(issue.input))
          ? `storage type "${String(issue.input)}" is not in this release, supported is "dir"`
          : `unsupported secrets storage type: "${String(issue.input)}"`,
    }),
  path: z.string().optional(),
});

const teleport = z.strictObject({
  nodename: z.string().min(1).max(255).optional(),
  data_dir: z.string().optional(),
  pid_file: z.string().optional(),
  advertise_ip: z.string().optional(),
  log: log.prefault({}),
  storage: storage.prefault({}),
  auth_token: notYet('joining another auth server (auth_token)'),
  ca_pin: notYet('joining another auth server (ca_pin)'),
  auth_servers: addresses(3025).optional(),
  connection_limits: notYet('connection_limits'),
  cache: notYet('cache (every service folds the log itself)'),
  ciphers: notYet('choosing ciphers'),
  kex_algos: notYet('choosing kex_algos'),
  mac_algos: notYet('choosing mac_algos'),
  ciphersuites: notYet('choosing ciphersuites'),
  ca_signature_algo: notYet('ca_signature_algo (authorities are Ed25519)'),
});

const authService = z.strictObject({
  enabled: flag.default(true),
  listen_addr: address(3025).optional(),
  cluster_name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$/, 'a cluster name has letters, digits, dots and dashes')
    .optional(),
  public_addr: addresses(3025).default([]),
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
  tokens: notYet('joining with static tokens'),
  session_recording: notYet('session recording'),
  client_idle_timeout: notYet('a cluster-wide client_idle_timeout (set it in a role)'),
  disconnect_expired_cert: notYet('a cluster-wide disconnect_expired_cert (set it in a role)'),
});

const sshService = z.strictObject({
  enabled: flag.default(true),
  listen_addr: address(3022).optional(),
  public_addr: addresses(3022).default([]),
  labels: z.record(z.string(), z.coerce.string()).default({}),
  commands: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        command: z.array(z.string()).min(1),
        period: duration,
      }),
    )
    .default([]),
  permit_user_env: flag.default(false),
  pam: notYet('pam'),
  enhanced_recording: notYet('enhanced_recording'),
});

const proxyService = z.strictObject({
  enabled: flag.default(true),
  listen_addr: address(3023).optional(),
  web_listen_addr: address(3080).optional(),
  tunnel_listen_addr: notYet('the reverse tunnel (tunnel_listen_addr)'),
  public_addr: addresses(3080).default([]),
  ssh_public_addr: addresses(3023).default([]),
  https_key_file: z.string().optional(),
  https_cert_file: z.string().optional(),
  /** Load balancers whose forwarded headers count: addresses or networks. */
  trusted_balancers: z.array(z.string()).default([]),
  /** SSH servers that are no nodes and may be reached all the same. */
  plain_ssh_hosts: addresses(22).default([]),
  proxy_protocol: notYet('proxy_protocol'),
  kubernetes: notYet('kubernetes'),
});

/** The whole of teleport.yaml. */
export const fileSchema = z.strictObject({
  teleport: teleport.prefault({}),
  auth_service: authService.prefault({}),
  ssh_service: sshService.prefault({}),
  proxy_service: proxyService.prefault({}),
});
export type ConfigFile = z.infer<typeof fileSchema>;
