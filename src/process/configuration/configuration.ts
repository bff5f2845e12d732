import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { ZodType } from 'zod';
import { isWildcard, parseHostPort } from '../../base/addresses.ts';
import { CodedError, messageOf } from '../../base/errors.ts';
import { longestWaitMs, readDuration } from '../../base/quantities.ts';
import { formatHostPort, type HostPort } from '../../base/service.ts';
import { labelFault, labelLimits } from '../../domain/label-limits.ts';
import { emptyRecord } from '../../base/foreign-record.ts';
import { hostName, isHostPart, labelKey, labelValue } from '../../domain/host-text.ts';
import { chooseAlgorithms, type SshAlgorithms } from '../../ssh/algorithms.ts';
import { type AuthRole, authRoleOf, ownAuthAddress } from '../lifecycle/auth-role.ts';
import { parseConfigFile } from './config-file.ts';
import type { ConfigFile } from './config-schema.ts';
import { flagPins, joinOf, type JoinSettings } from './join-settings.ts';
import {
  keySourceOf,
  previousKeySourcesOf,
  storageLocationOf,
  type KeySource,
  type StorageLocation,
} from './storage-schema.ts';

export const defaultConfigPath = '/etc/teleport.yaml';
export const roles = ['auth', 'proxy', 'node'] as const;
export type Role = (typeof roles)[number];

/** Settings on the command line; every flag overrides the file. */
export interface Flags {
  readonly config?: string | undefined;
  /** base64 of a YAML text, used in place of the file. */
  readonly configString?: string | undefined;
  readonly roles?: string | undefined;
  readonly nodename?: string | undefined;
  readonly listenIp?: string | undefined;
  readonly advertiseIp?: string | undefined;
  readonly labels?: string | undefined;
  readonly pidFile?: string | undefined;
  readonly diagAddr?: string | undefined;
  readonly debug?: boolean | undefined;
  readonly permitUserEnv?: boolean | undefined;
  readonly insecure?: boolean | undefined;
  readonly insecureNoTls?: boolean | undefined;
  readonly authServers?: readonly string[] | undefined;
  /** A join token, or the path of a file that holds one. */
  readonly token?: string | undefined;
  readonly caPins?: readonly string[] | undefined;
  /** A file of resources, for an empty store. */
  readonly bootstrap?: string | undefined;
  /** CA pins of clusters that this machine leaves. */
  readonly leaveClusters?: readonly string[] | undefined;
}

/** Everything the process needs to know, with defaults and flags applied and absolute paths. */
export interface Configuration {
  readonly file: ConfigFile;
  /**
   * Where the text came from; undefined when there was no file at the usual place, or for `--config-string`.
   */
  readonly path: string | undefined;
  readonly roles: ReadonlySet<Role>;
  /** Why the auth role is among them, or not. */
  readonly authRole: AuthRole;
  readonly nodename: string;
  readonly dataDir: string;
  readonly storage: StorageLocation;
  readonly keys: KeySource;
  readonly previousKeys: readonly KeySource[];
  readonly clusterName: string;
  readonly advertiseIp: string | undefined;
  readonly pidFile: string | undefined;
  readonly diagnostics: HostPort | undefined;
  /** How long a successor may take until it serves, and how long a drain may last; 0: for ever. */
  readonly restartLimitMs: number;
  readonly shutdownLimitMs: number;
  /** From the answer 503 of `/readyz` to the moment from which a draining process accepts nobody. */
  readonly drainNoticeMs: number;
  readonly log: { readonly output: string; readonly severity: string; readonly format: 'text' | 'json' };
  readonly debug: boolean;
  /** What the web port accepts: `both` recognises plain HTTP and TLS by the first byte (`--insecure`). */
  readonly web: 'tls' | 'both' | 'plain';
  /** The file that an empty store is restored from. */
  readonly bootstrap: string | undefined;
  /**
   * CA pins of clusters that this machine leaves, where its store holds no cluster or another one
   * (`fitting-store.ts`).
   */
  readonly leaveClusters: readonly string[];
  /** How this machine joins a cluster whose auth server runs elsewhere. */
  readonly join: JoinSettings;
  readonly listen: {
    readonly auth: HostPort;
    readonly ssh: HostPort;
    readonly proxySsh: HostPort;
    readonly web: HostPort;
    /** Undefined where it is the web port, which serves links as well. */
    readonly tunnel: HostPort | undefined;
    readonly peer: HostPort | undefined;
  };
  readonly labels: Readonly<Record<string, string>>;
  readonly commandLabels: readonly { name: string; command: string[]; periodSeconds: number }[];
  readonly permitUserEnvironment: boolean;
  readonly sshAlgorithms: SshAlgorithms;
}

/**
 * Defaults, then the file (or the base64 text in its place), then flags.
 * @throws CodedError `misconfigured` for a path that does not exist, a bad file or flag.
 */
export function readConfiguration(flags: Flags, env: NodeJS.ProcessEnv = process.env): Configuration {
  const { file, path } = readFile(flags, env);
  const { teleport, auth_service: auth, ssh_service: ssh, proxy_service: proxy } = file;
  const nodename = nodenameOf(flags.nodename, teleport.nodename);
  const dataDir = resolve(teleport.data_dir ?? '/var/lib/teleport');
  const listenOn = (configured: HostPort | undefined, port: number): HostPort => ({
    host: flags.listenIp ?? configured?.host ?? '0.0.0.0',
    port: configured?.port ?? port,
  });
  const join = joinOf(flags, teleport);
  const listenAuth = listenOn(auth.listen_addr, 3025);
  const listenWeb = listenOn(proxy.web_listen_addr, 3080);
  const ownNames = [
    nodename,
    ...(teleport.advertise_ip === undefined ? [] : [teleport.advertise_ip]),
    ...auth.public_addr.map(({ host }) => host),
  ];
  const chosen = rolesOf(flags, file, { join, isOwn: ownAuthAddress(listenAuth, ownNames) });
  return {
    file,
    path,
    ...chosen,
    nodename,
    dataDir,
    storage: storageLocationOf(teleport.storage, `${dataDir}/backend`),
    keys: keySourceOf(teleport.storage),
    previousKeys: previousKeySourcesOf(teleport.storage),
    clusterName: auth.cluster_name ?? nodename,
    advertiseIp: advertised(flags.advertiseIp ?? teleport.advertise_ip),
    pidFile: absolute(flags.pidFile ?? teleport.pid_file),
    diagnostics: flags.diagAddr === undefined ? undefined : parseHostPort(flags.diagAddr, 3000),
    restartLimitMs: teleport.restart_timeout,
    shutdownLimitMs: teleport.shutdown_timeout,
    drainNoticeMs: teleport.drain_notice,
    ...logOf(flags, teleport.log),
    web: webOf(flags),
    join,
    bootstrap: bootstrapOf(flags, chosen.roles),
    leaveClusters: flagPins('--leave-cluster', flags.leaveClusters ?? []),
    listen: {
      auth: listenAuth,
      ssh: listenOn(ssh.listen_addr, 3022),
      proxySsh: listenOn(proxy.listen_addr, 3023),
      web: listenWeb,
      tunnel: otherThan(listenWeb, listenOn(proxy.tunnel_listen_addr, 3024)),
      peer: otherThan(listenWeb, listenOn(proxy.peer_listen_addr, 3021)),
    },
    ...labelsOf(flags.labels, ssh),
    permitUserEnvironment: flags.permitUserEnv === true || ssh.permit_user_env,
    sshAlgorithms: chooseAlgorithms({
      ciphers: teleport.ciphers,
      kexAlgos: teleport.kex_algos,
      macAlgos: teleport.mac_algos,
    }),
  };
}

const namesServers = ({ given }: JoinSettings): boolean =>
  given.includes('auth_servers') || given.includes('proxy_server');

/** Undefined where both are the same port (0 is a new one each time). */
const otherThan = (web: HostPort, one: HostPort): HostPort | undefined =>
  one.port !== 0 && formatHostPort(one) === formatHostPort(web) ? undefined : one;

function logOf(flags: Flags, file: ConfigFile['teleport']['log']): Pick<Configuration, 'log' | 'debug'> {
  const debug = flags.debug === true;
  return { debug, log: debug ? { ...file, severity: 'debug' } : file };
}

function webOf({ insecure, insecureNoTls }: Flags): Configuration['web'] {
  if (insecureNoTls === true) return 'plain';
  return insecure === true ? 'both' : 'tls';
}

/**
 * @throws CodedError `misconfigured` for a name, from the flag or of the machine, that no host of a cluster
 *   can have.
 */
function nodenameOf(flag: string | undefined, file: string | undefined): string {
  const name = flag ?? file ?? hostname();
  const parsed = hostName.safeParse(name);
  if (parsed.success) return name;
  const where = flag === undefined ? 'the host name of this machine' : '--nodename';
  throw new CodedError(
    'misconfigured',
    `${where} is ${JSON.stringify(name.slice(0, 300))}, and a host of a cluster needs ${parsed.error.issues[0]?.message ?? 'a name'}: ` +
      'set nodename (--nodename)',
  );
}

const absolute = (path: string | undefined): string | undefined =>
  path === undefined ? undefined : resolve(path);

function bootstrapOf({ bootstrap }: Flags, chosen: ReadonlySet<Role>): string | undefined {
  if (bootstrap === undefined || chosen.has('auth')) return absolute(bootstrap);
  throw new CodedError(
    'misconfigured',
    '--bootstrap restores the store of an auth server, and this process has no auth role',
  );
}

function readFile(flags: Flags, env: NodeJS.ProcessEnv): Pick<Configuration, 'file' | 'path'> {
  const inline = flags.configString ?? env['TELEPORT_CONFIG'];
  if (inline !== undefined && inline !== '') {
    if (!/^[A-Za-z0-9+/\s]+={0,2}\s*$/.test(inline))
      throw new CodedError(
        'misconfigured',
        'configuration should be base64 encoded (--config-string, TELEPORT_CONFIG)',
      );
    const text = Buffer.from(inline, 'base64').toString('utf8');
    return { file: parseConfigFile(text, '--config-string'), path: undefined };
  }
  const path = flags.config ?? defaultConfigPath;
  try {
    return { file: parseConfigFile(readFileSync(path, 'utf8'), path), path };
  } catch (e) {
    if (e instanceof CodedError) throw e;
    if ((e as NodeJS.ErrnoException).code === 'ENOENT') {
      if (flags.config === undefined) return { file: parseConfigFile('', path), path: undefined };
      throw new CodedError('misconfigured', `path '${path}' does not exist`);
    }
    throw new CodedError('misconfigured', `cannot read ${path}: ${messageOf(e)}`, { cause: e });
  }
}

function chosenRoles(flag: string | undefined, file: ConfigFile): ReadonlySet<Role> {
  const enabled = new Set<Role>(
    flag === undefined
      ? roles.filter((role) => file[`${role === 'node' ? 'ssh' : role}_service`].enabled)
      : flag.split(',').map((text) => {
          const role = roles.find((known) => known === text.trim().toLowerCase());
          if (role === undefined) throw new CodedError('misconfigured', `unknown role: '${text.trim()}'`);
          return role;
        }),
  );
  return enabled;
}

/** @throws CodedError `misconfigured` when no role is left to start. */
function rolesOf(
  flags: Flags,
  file: ConfigFile,
  { join, isOwn }: { readonly join: JoinSettings; readonly isOwn: (server: HostPort) => boolean },
): Pick<Configuration, 'roles' | 'authRole'> {
  const chosen = chosenRoles(flags.roles, file);
  const authRole = authRoleOf({
    enabled: chosen.has('auth'),
    byFlag: flags.roles !== undefined,
    byFile: file.said.authService,
    hasStorage: file.said.storage,
    servers: namesServers(join) ? join.authServers : [],
    byProxy: join.kind === 'proxies',
    serversByFlag: (flags.authServers ?? []).length > 0,
    hasTokenOrPin: join.given.some((key) => key !== 'auth_servers' && key !== 'proxy_server'),
    isOwn,
  });
  const left =
    authRole.status === 'joins' ? roles.filter((role) => role !== 'auth' && chosen.has(role)) : chosen;
  const found = new Set(left);
  if (found.size > 0) return { roles: found, authRole };
  const why = authRole.status === 'joins' ? `; ${authRole.why}, so that the auth role is off` : '';
  throw new CodedError('misconfigured', `config: supply at least one of Auth, SSH or Proxy roles${why}`);
}

function advertised(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const { host } = parseHostPort(text, 0);
  if (isWildcard(host)) throw new CodedError('misconfigured', `unreachable advertise IP: ${host}`);
  if (!isHostPart(host))
    throw new CodedError(
      'misconfigured',
      `advertise_ip (--advertise-ip): ${JSON.stringify(host.slice(0, 300))} is neither an IP address nor a DNS name`,
    );
  return host;
}

/** Milliseconds. */
function labelPeriod(text: string): number {
  const read = readDuration(text, { min: 1_000, max: longestWaitMs });
  if (typeof read === 'number') return read;
  throw new CodedError('misconfigured', `--labels: ${read.fault}`);
}

/** `--labels` replaces both kinds of labels in the file, as in 4.4. */
function labelsOf(
  flag: string | undefined,
  ssh: ConfigFile['ssh_service'],
): Pick<Configuration, 'labels' | 'commandLabels'> {
  if (flag === undefined)
    return {
      labels: ssh.labels,
      commandLabels: ssh.commands.map(({ name, command, period }) => ({
        name,
        command,
        periodSeconds: Math.max(1, period / 1000),
      })),
    };
  const labels = emptyRecord<string>();
  const commandLabels: { name: string; command: string[]; periodSeconds: number }[] = [];
  for (const [, key, quoted, plain] of flag.matchAll(/\s*([^=,]+)=(?:"([^"]*)"|([^,]*))\s*(?:,|$)/g)) {
    const name = checkedLabel(labelKey, (key ?? '').trim());
    const value = quoted ?? plain ?? '';
    const dynamic = /^\[(\d+)([smh]):(.+)\]$/.exec(value);
    if (dynamic === null) labels[name] = checkedLabel(labelValue, value);
    else
      commandLabels.push({
        name,
        command: (dynamic[3] ?? '').trim().split(/\s+/),
        periodSeconds: labelPeriod(`${dynamic[1] ?? ''}${dynamic[2] ?? ''}`) / 1000,
      });
  }
  if (Object.keys(labels).length + commandLabels.length === 0 && flag.trim() !== '')
    throw new CodedError('misconfigured', `--labels: expected key=value,key2=value2, got '${flag}'`);
  checkLabels(
    labels,
    commandLabels.map(({ name }) => name),
  );
  return { labels, commandLabels };
}

function checkLabels(labels: Readonly<Record<string, string>>, commands: readonly string[]): void {
  const fault = labelFault(labels, commands);
  if (fault === undefined) return;
  const which = fault.name === undefined ? '' : `'${fault.name.slice(0, labelLimits.name)}': `;
  throw new CodedError('misconfigured', `--labels: ${which}${fault.why}`);
}

function checkedLabel(form: ZodType<string>, text: string): string {
  const parsed = form.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new CodedError(
    'misconfigured',
    `--labels: ${JSON.stringify(text.slice(0, 64))}: ${parsed.error.issues[0]?.message ?? 'cannot be a label'}`,
  );
}
