import { z } from 'zod';
import { isCoded } from '../../base/errors.ts';
import { msBetween, second } from '../../base/time.ts';
import { uuidOf } from '../../base/uuid-of.ts';
import type { World } from '../../base/world.ts';
import type { CreateAuthority } from '../../domain/authority-commands.ts';
import { authority } from '../../domain/authority.ts';
import { cluster, type SecondFactor } from '../../domain/cluster.ts';
import type { Settings } from '../../domain/config-facts.ts';
import { joinToken, tokenLimits } from '../../domain/join-token.ts';
import { lock, lockTargetOf } from '../../domain/lock.ts';
import { adminRole, presetRoles } from '../../domain/preset-roles.ts';
import type { WholeAuthorityDocument } from '../../domain/resources/authority.ts';
import type {
  ConfigurationDocument,
  NameDocument,
  PreferenceDocument,
} from '../../domain/resources/cluster.ts';
import { type LockDocument, targetOfDocument } from '../../domain/resources/lock.ts';
import { type RoleDocument, specOfRole } from '../../domain/resources/role.ts';
import type { WholeTokenDocument } from '../../domain/resources/token.ts';
import type { WholeUserDocument } from '../../domain/resources/user.ts';
import { role } from '../../domain/role.ts';
import type { RoleSpec } from '../../domain/role-spec.ts';
import {
  authorityStream,
  clusterStream,
  lockStream,
  roleStream,
  tokenStream,
  userStream,
} from '../../domain/streams.ts';
import { user } from '../../domain/user.ts';
import type { Decider } from '../../log/decider.ts';
import type { Fact, StreamName } from '../../log/event.ts';
import { newAuthorityKey } from '../authority/new-authority-key.ts';
import { isSystemRole } from '../callers.ts';
import { checkFitsCertificate } from '../user/issue-certificates.ts';
import type { BootstrapFile } from './bootstrap-file.ts';
import { restoredAuthority } from './restored-authority.ts';
import { type Fault, type RestoredDocument, RestoredDocuments } from './restored-documents.ts';
import { restoredUser } from './restored-user.ts';

/** What the configuration of the auth server says, with which the file has to agree. */
export interface Configured {
  readonly clusterName: string;
  /** The configuration has no cluster_name: that of the file counts. */
  readonly nameIsDefault: boolean;
  readonly secondFactor: SecondFactor;
  readonly settings: Settings;
}

/** The facts of one stream that does not exist yet. */
export interface NewStream {
  readonly stream: StreamName;
  readonly facts: readonly Fact[];
}

export interface RestorePlan {
  readonly clusterName: string;
  readonly digest: string;
  readonly counts: Readonly<Record<string, number>>;
  /** In any number of appends, before there is a cluster. */
  readonly contents: readonly NewStream[];
  /** In the append that creates the cluster. */
  readonly cluster: readonly NewStream[];
  /** Tokens and locks that had expired. */
  readonly expired: number;
}

/**
 * Decides everything that a file brings into an empty store, before anything is written.
 * @throws CodedError `misconfigured` with file, line and column of the first fault.
 */
export function planRestore(file: BootstrapFile, configured: Configured, world: World): RestorePlan {
  const documents = new RestoredDocuments(file);
  const clusterName = nameOf(documents, configured);
  const roles = planRoles(documents);
  const users = documents.of<WholeUserDocument>('user').map((one) => planUser(one, roles.known, world));
  const expiring = [
    ...documents.of<WholeTokenDocument>('token').map((one) => planToken(one, world)),
    ...documents.of<LockDocument>('lock').map((one) => planLock(one, file.digest, world)),
  ];
  const lasting = expiring.filter((one) => one !== undefined);
  return {
    clusterName,
    digest: file.digest,
    counts: documents.counts(),
    contents: [...roles.streams, ...users, ...lasting],
    cluster: [
      ...planAuthorities(documents, clusterName, world),
      planCluster(documents, { ...configured, clusterName }, world),
    ],
    expired: expiring.length - lasting.length,
  };
}

/** The facts by which a stream begins; what its rules refuse is a fault of the file. */
function begun<S, C, F extends Fact>(
  stream: StreamName,
  decider: Decider<S, C, F>,
  command: C,
  fault?: Fault,
): NewStream {
  const decide = (): NewStream => ({ stream, facts: decider.decide(decider.initial, command) });
  return fault === undefined ? decide() : blaming(fault, ['metadata', 'name'], decide);
}

/** Whatever is refused is a fault of the file, at this place. */
function blaming<T>(fault: Fault, path: readonly string[], decide: () => T): T {
  try {
    return decide();
  } catch (e) {
    throw isCoded(e) ? fault(path, e.message) : e;
  }
}

/** Documents may name the cluster; so may the configuration. They agree. */
function nameOf(documents: RestoredDocuments, { clusterName, nameIsDefault }: Configured): string {
  const named = [
    ...documents.of<NameDocument>('cluster_name'),
    ...documents.of<WholeAuthorityDocument>('cert_authority'),
  ].map(({ document: { spec }, fault }) => ({ name: spec.cluster_name, fault }));
  const wanted = nameIsDefault ? (named[0]?.name ?? clusterName) : clusterName;
  const other = named.find(({ name }) => name !== wanted);
  if (other !== undefined)
    throw other.fault(
      ['spec', 'cluster_name'],
      `is ${JSON.stringify(other.name)}, but ${nameIsDefault ? 'another document' : 'cluster_name of the configuration'} says ${JSON.stringify(wanted)}`,
    );
  return wanted;
}

interface PlannedRoles {
  readonly known: ReadonlyMap<string, RoleSpec>;
  readonly streams: readonly NewStream[];
}

/**
 * Roles that every cluster begins with are made as well; beside the authorities of a cluster, which has had
 * them, those that are missing had been deleted.
 */
function planRoles(documents: RestoredDocuments): PlannedRoles {
  const known = new Map<string, RoleSpec>();
  const streams: NewStream[] = [];
  for (const { document, fault } of documents.of<RoleDocument>('role')) {
    const spec = specOfRole(document);
    if (isSystemRole(spec.name)) throw fault(['metadata', 'name'], 'is a role of machines');
    known.set(spec.name, spec);
    streams.push(begun(roleStream(spec.name), role, { type: 'create-role', role: spec }, fault));
  }
  const isWhole = documents.of('cert_authority').length > 0;
  for (const spec of [adminRole, ...presetRoles].filter(({ name }) => !known.has(name))) {
    const isMade = spec === adminRole || !isWhole;
    if (isMade) known.set(spec.name, spec);
    const { name } = spec;
    streams.push(
      begun(
        roleStream(name),
        role,
        isMade ? { type: 'ensure-role', role: spec } : { type: 'forgo-role', name },
      ),
    );
  }
  return { known, streams };
}

function planUser(
  { document, fault }: RestoredDocument<WholeUserDocument>,
  roles: ReadonlyMap<string, RoleSpec>,
  world: World,
): NewStream {
  const command = restoredUser(document, world, fault);
  const { username, traits } = command;
  const held = command.roles.map((name) => {
    const spec = roles.get(name);
    if (spec === undefined) throw fault(['spec', 'roles'], `role ${JSON.stringify(name)} is not in the file`);
    return spec;
  });
  blaming(fault, ['metadata', 'name'], () => {
    checkFitsCertificate(username, { roles: held, traits });
  });
  return begun(userStream(username), user, command, fault);
}

function planToken(
  { document: { metadata, spec }, fault }: RestoredDocument<WholeTokenDocument>,
  world: World,
): NewStream | undefined {
  if (spec.origin === 'static')
    throw fault(['spec', 'origin'], 'a token of the configuration file comes from there');
  if (metadata.expires === undefined) throw fault(['metadata'], 'a token has a time when it expires');
  const now = world.now();
  const ttlMs = msBetween(now, metadata.expires);
  if (ttlMs < tokenLimits.minMs) return undefined;
  const { roles, uses = null, names } = spec;
  return begun(
    tokenStream(spec.hash),
    joinToken,
    { type: 'create-token', now, roles: [...roles], ttlMs, uses, ...(names !== undefined && { names }) },
    fault,
  );
}

const uuid = z.uuid();

/**
 * One that a hand gave a name gets an id, as one of `tctl create` does: always the same one, so that a start
 * that continues finds what was written.
 */
function planLock(
  { document, fault }: RestoredDocument<LockDocument>,
  digest: string,
  world: World,
): NewStream | undefined {
  const { name, expires } = document.metadata;
  const now = world.now();
  const ttlMs = expires === undefined ? undefined : msBetween(now, expires);
  if (ttlMs !== undefined && ttlMs < second) return undefined;
  const { kind, text } = targetOfDocument(document);
  const id = uuid.safeParse(name).success ? name : uuidOf(`lock ${digest} ${name}`);
  return blaming(fault, ['spec', 'target'], () => {
    const target = lockTargetOf(kind, text);
    const message = document.spec.message ?? '';
    return begun(lockStream(id), lock, { type: 'create-lock', now, target, message, ttlMs });
  });
}

/** Both or none: without any, new ones are made. */
function planAuthorities(
  documents: RestoredDocuments,
  clusterName: string,
  world: World,
): readonly NewStream[] {
  const found = documents.of<WholeAuthorityDocument>('cert_authority');
  const [first] = found;
  if (first !== undefined && new Set(found.map(({ document }) => document.sub_kind)).size < 2)
    throw first.fault(['sub_kind'], 'the file needs both authorities, user and host, or none');
  return (['user', 'host'] as const).map((type) => {
    const one = found.find(({ document }) => document.sub_kind === type);
    const command: CreateAuthority =
      one === undefined
        ? {
            type: 'create-authority',
            authority: type,
            clusterName,
            key: newAuthorityKey(clusterName, world).key,
          }
        : restoredAuthority(one.document, clusterName, one.fault);
    return begun(authorityStream(type), authority, command, one?.fault);
  });
}

function planCluster(
  documents: RestoredDocuments,
  { clusterName, secondFactor, settings }: Configured,
  world: World,
): NewStream {
  const [preference] = documents.of<PreferenceDocument>('cluster_auth_preference');
  const [configuration] = documents.of<ConfigurationDocument>('cluster_config');
  if (preference !== undefined) requireSameSecondFactor(preference, secondFactor);
  if (configuration !== undefined) requireSameSettings(configuration, settings);
  const clusterId = configuration?.document.spec.cluster_id ?? world.uuid();
  return begun(clusterStream, cluster, { type: 'open-cluster', clusterName, clusterId, secondFactor });
}

/** What the configuration decides is not taken from the file, but must not become weaker unnoticed. */
function requireSameSecondFactor(
  { document: { spec }, fault }: RestoredDocument<PreferenceDocument>,
  secondFactor: SecondFactor,
): void {
  if (spec.second_factor === secondFactor) return;
  throw fault(
    ['spec', 'second_factor'],
    `is ${JSON.stringify(spec.second_factor)}, but auth_service.authentication.second_factor of the configuration is ` +
      `${JSON.stringify(secondFactor)}, which decides: change one of them`,
  );
}

function requireSameSettings(
  { document: { spec }, fault }: RestoredDocument<ConfigurationDocument>,
  settings: Settings,
): void {
  for (const [key, value] of Object.entries(spec.settings))
    if (Object.hasOwn(settings, key) && settings[key] !== value)
      throw fault(
        ['spec', 'settings', key],
        `is ${JSON.stringify(value)}, but the configuration says ${JSON.stringify(settings[key])}, which decides: change one of them`,
      );
  if (!uuid.safeParse(spec.cluster_id).success) throw fault(['spec', 'cluster_id'], 'is not a UUID');
}
