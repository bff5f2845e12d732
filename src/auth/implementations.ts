import {
  acceptInvite as acceptInviteRow,
  createUser as createUserRow,
  deleteUser as deleteUserRow,
  emitAudit as emitAuditRow,
  heartbeat as heartbeatRow,
  listAuthorities,
  listHosts as listHostsRow,
  listUsers as listUsersRow,
  logIn as logInRow,
  pingCluster,
  readAuthPreference,
  readClusterStatus,
  readInvite as readInviteRow,
  resetUser as resetUserRow,
  searchAudit as searchAuditRow,
} from '../api/operations.ts';
import { implement, type Implementation } from '../api/serve-operations.ts';
import { acceptInvite } from './accept-invite.ts';
import { authorities, authPreference, clusterStatus, ping } from './cluster-status.ts';
import { createUser } from './create-user.ts';
import { deleteUser } from './delete-user.ts';
import type { AuthDeps } from './deps.ts';
import { emitAudit } from './emit-audit.ts';
import { heartbeat } from './heartbeat.ts';
import { listHosts } from './list-hosts.ts';
import { listUsers } from './list-users.ts';
import { logIn } from './log-in.ts';
import { readInvite } from './read-invite.ts';
import { resetUser } from './reset-user.ts';
import { searchAudit } from './search-audit.ts';

/** Which use case does which row of the contract. */
export const implementations = (deps: AuthDeps): readonly Implementation[] => [
  implement(pingCluster, () => Promise.resolve(ping(deps))),
  implement(readClusterStatus, () => clusterStatus(deps)),
  implement(logInRow, (call, input) => logIn(deps, call, input)),
  implement(createUserRow, (call, input) => createUser(deps, call, input)),
  implement(resetUserRow, (call, input) => resetUser(deps, call, input)),
  implement(deleteUserRow, (call, input) => deleteUser(deps, call, input)),
  implement(listUsersRow, () => listUsers(deps)),
  implement(readInviteRow, (_call, input) => readInvite(deps, input)),
  implement(acceptInviteRow, (call, input) => acceptInvite(deps, call, input)),
  implement(readAuthPreference, () => Promise.resolve(authPreference(deps))),
  implement(listAuthorities, (_call, input) => authorities(deps, input)),
  implement(listHostsRow, (call, input) => listHosts(deps, call, input)),
  implement(heartbeatRow, (call, input) => heartbeat(deps, call, input)),
  implement(emitAuditRow, (call, input) => emitAudit(deps, call, input)),
  implement(searchAuditRow, (_call, input) => searchAudit(deps, input)),
];
