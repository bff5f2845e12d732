import { readLogInfo } from '../api/log-info.ts';
import {
  acceptInvite as acceptInviteRow,
  createToken as createTokenRow,
  createUser as createUserRow,
  deleteToken as deleteTokenRow,
  removeHost as removeHostRow,
  deleteUser as deleteUserRow,
  emitAudit as emitAuditRow,
  heartbeat as heartbeatRow,
  joinHost as joinHostRow,
  listAuthorities,
  listHosts as listHostsRow,
  listTokens as listTokensRow,
  listUsers as listUsersRow,
  logIn as logInRow,
  pingCluster,
  readAuthPreference,
  readClusterStatus,
  readHostAuthorities,
  readInvite as readInviteRow,
  resetUser as resetUserRow,
  searchAudit as searchAuditRow,
  unlockUser as unlockUserRow,
} from '../api/operations.ts';
import { readRecovery, recoverLog as recoverLogRow } from '../api/recover-log.ts';
import { readRequestOutcome } from '../api/request-outcome.ts';
import { implement, type Implementation } from '../api/serve-operations.ts';
import { acceptInvite } from './accept-invite.ts';
import { authorities, authPreference, clusterStatus, hostAuthorities, ping } from './cluster-status.ts';
import { createToken } from './create-token.ts';
import { createUser } from './create-user.ts';
import { deleteToken } from './delete-token.ts';
import { removeHost } from './remove-host.ts';
import { deleteUser } from './delete-user.ts';
import type { AuthDeps } from './deps.ts';
import { emitAudit } from './emit-audit.ts';
import { heartbeat } from './heartbeat.ts';
import { joinHost } from './join-host.ts';
import { listHosts } from './list-hosts.ts';
import { listTokens } from './list-tokens.ts';
import { listUsers } from './list-users.ts';
import { logIn } from './log-in.ts';
import { readInvite } from './read-invite.ts';
import { logInfoOf } from './read-log-info.ts';
import { logRecovery, recoverLog } from './recover-log.ts';
import { requestOutcome } from './request-outcome.ts';
import { resetUser } from './reset-user.ts';
import { searchAudit } from './search-audit.ts';
import { unlockUser } from './unlock-user.ts';

/** Which use case does which row of the contract. */
export const implementations = (deps: AuthDeps): readonly Implementation[] => [
  implement(pingCluster, () => Promise.resolve(ping(deps))),
  implement(readClusterStatus, () => clusterStatus(deps)),
  implement(readLogInfo, () => logInfoOf(deps)),
  implement(readRequestOutcome, (call, input) => requestOutcome(deps, call, input)),
  implement(readRecovery, () => logRecovery(deps)),
  implement(recoverLogRow, (call, input) => recoverLog(deps, call, input)),
  implement(logInRow, (call, input) => logIn(deps, call, input)),
  implement(createUserRow, (call, input) => createUser(deps, call, input)),
  implement(resetUserRow, (call, input) => resetUser(deps, call, input)),
  implement(unlockUserRow, (call, input) => unlockUser(deps, call, input)),
  implement(deleteUserRow, (call, input) => deleteUser(deps, call, input)),
  implement(listUsersRow, () => listUsers(deps)),
  implement(readInviteRow, (call, input) => readInvite(deps, call, input)),
  implement(acceptInviteRow, (call, input) => acceptInvite(deps, call, input)),
  implement(readAuthPreference, () => Promise.resolve(authPreference(deps))),
  implement(listAuthorities, (_call, input) => authorities(deps, input)),
  implement(listHostsRow, (call, input) => listHosts(deps, call, input)),
  implement(readHostAuthorities, () => Promise.resolve(hostAuthorities(deps))),
  implement(joinHostRow, (call, input) => joinHost(deps, call, input)),
  implement(createTokenRow, (call, input) => createToken(deps, call, input)),
  implement(listTokensRow, () => listTokens(deps)),
  implement(removeHostRow, (call, input) => removeHost(deps, call, input)),
  implement(deleteTokenRow, (call, input) => deleteToken(deps, call, input)),
  implement(heartbeatRow, (call, input) => heartbeat(deps, call, input)),
  implement(emitAuditRow, (call, input) => emitAudit(deps, call, input)),
  implement(searchAuditRow, (_call, input) => searchAudit(deps, input)),
];
