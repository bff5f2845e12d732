import { CodedError, isCoded } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { World } from '../base/world.ts';
import type { AuthorityType } from '../domain/authority-facts.ts';
import { authority } from '../domain/authority.ts';
import type { AuthorityCommand } from '../domain/authority-commands.ts';
import { cluster, type SecondFactor } from '../domain/cluster.ts';
import { adminRole, presetRoles } from '../domain/preset-roles.ts';
import type { Settings } from '../domain/config-facts.ts';
import { restore } from '../domain/restore.ts';
import { role } from '../domain/role.ts';
import type { RoleSpec } from '../domain/role-spec.ts';
import { authorityStream, clusterStream, restoreStream, roleStream } from '../domain/streams.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Cause, Position } from '../log/event.ts';
import { execute, load, step, transact } from '../log/execute.ts';
import type { BootstrapFile } from './restore/bootstrap-file.ts';
import { planRestore } from './restore/plan-restore.ts';
import { restoreCluster } from './restore/restore-cluster.ts';
import { newAuthorityKey } from './authority/new-authority-key.ts';

export interface Founding {
  readonly state: EventLog;
  readonly world: World;
  readonly sink: LogSink;
  readonly clusterName: string;
  /** The file has no name, and this is the name of the machine: an existing cluster keeps its own. */
  readonly nameIsDefault: boolean;
  readonly secondFactor: SecondFactor;
  /** Where the log is, for messages. */
  readonly place: string;
  readonly cause: Cause;
  /** Further settings of the configuration that all auth servers share. */
  readonly settings?: Settings | undefined;
  /** Reads the file that an empty store is restored from; called for no other. Default: there is none. */
  readonly bootstrap?: (() => Promise<BootstrapFile>) | undefined;
  /**
   * Asked before anything is created: which of the auth servers named in the file serves a cluster. Default:
   * none.
   */
  readonly servedBy?: (() => Promise<string | undefined>) | undefined;
}

/**
 * Makes the cluster, its authorities and the roles that every cluster begins with in one append, unless they
 * exist: of two auth servers that start at once, one makes them and the other uses them. A later start writes
 * nothing. With a file to restore from, an empty store gets what that has. Returns the position that a view
 * must have reached to know all of it.
 * @throws CodedError `misconfigured` when the log is that of a cluster with another name; when it is empty,
 *   but a named auth server serves a cluster that is therefore in another store; for a fault of the file.
 */
export async function foundCluster(founding: Founding): Promise<Position> {
  const { state, cause } = founding;
  const found = await load(state, cluster, clusterStream);
  if (found.state.status === 'absent') {
    await checkStore(founding);
    await (founding.bootstrap === undefined ? create(founding) : fill(founding, founding.bootstrap));
  } else if (founding.bootstrap !== undefined)
    founding.sink.warn(
      'the file of --bootstrap was not used: the store holds a cluster already, and a cluster is restored into an empty store',
    );
  await checkName(founding);
  if (found.state.status !== 'absent') await makeMissingRoles(state, cause);
  return state.head();
}

/** `admin` when it is not there; the others only when there never was a role of that name. */
async function makeMissingRoles(state: EventLog, cause: Cause): Promise<void> {
  const make = (spec: RoleSpec): Promise<unknown> =>
    execute(state, role, roleStream(spec.name), { type: 'ensure-role', role: spec }, cause);
  const all = [adminRole, ...presetRoles];
  const last = await Promise.all(all.map(({ name }) => lastFactOf(state, name)));
  for (const [i, spec] of all.entries())
    if (last[i] === undefined || (spec === adminRole && last[i] === 'role.deleted')) await make(spec);
}

/**
 * Looks at the types alone: a newer release may have written the role in a form that this one cannot read,
 * and it exists all the same.
 */
async function lastFactOf(state: EventLog, name: string): Promise<string | undefined> {
  let last: string | undefined;
  for await (const { fact } of state.read(roleStream(name), 0)) last = fact.type;
  return last;
}

/**
 * A wrong prefix or table would create a second cluster beside the intended one, and nobody would notice
 * soon.
 */
async function checkStore({ state, place, servedBy }: Founding): Promise<void> {
  const server = await servedBy?.();
  if (server === undefined) return;
  // That server may have created it in this store a moment ago.
  if ((await load(state, cluster, clusterStream)).state.status !== 'absent') return;
  throw new CodedError(
    'misconfigured',
    `the store holds no cluster (${place}), but ${server} of teleport.auth_servers serves one: give all auth servers ` +
      `the same storage (type, peers and prefix, table, path); for a new cluster in this store take that server out of auth_servers`,
  );
}

async function fill(founding: Founding, bootstrap: () => Promise<BootstrapFile>): Promise<void> {
  const { world, settings = {} } = founding;
  const plan = planRestore(await bootstrap(), { ...founding, settings }, world);
  await restoreCluster(founding, plan);
}

async function create({ state, world, sink, clusterName, secondFactor, cause }: Founding): Promise<void> {
  const clusterId = world.uuid();
  try {
    await transact(
      state,
      [
        step(authority, authorityStream('user'), newAuthority('user', clusterName, world)),
        step(authority, authorityStream('host'), newAuthority('host', clusterName, world)),
        step(cluster, clusterStream, { type: 'open-cluster', clusterName, clusterId, secondFactor }),
        step(restore, restoreStream, { type: 'require-none' }),
        ...[adminRole, ...presetRoles].map((spec) =>
          step(role, roleStream(spec.name), { type: 'ensure-role', role: spec }),
        ),
      ],
      cause,
    );
    sink.info('a cluster was created', { clusterName });
  } catch (e) {
    if (!isCoded(e, 'already_exists')) throw e;
    sink.info('another auth server has just created the cluster');
  }
}

/**
 * Another name means another cluster, which is left untouched. A default name gives way to the name on the
 * log.
 */
async function checkName({ state, clusterName, nameIsDefault, place }: Founding): Promise<void> {
  const { state: known } = await load(state, cluster, clusterStream);
  if (known.status === 'absent') throw new CodedError('unavailable', 'the cluster could not be created');
  if (known.clusterName === clusterName || nameIsDefault) return;
  throw new CodedError(
    'misconfigured',
    `the store belongs to cluster "${known.clusterName}", but cluster_name is "${clusterName}" ` +
      `(${place}): a cluster cannot be renamed; set cluster_name back, or name another store`,
  );
}

const newAuthority = (type: AuthorityType, clusterName: string, world: World): AuthorityCommand => ({
  type: 'create-authority',
  authority: type,
  clusterName,
  key: newAuthorityKey(clusterName, world).key,
});
