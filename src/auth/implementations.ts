import type { Implementation } from '../api/serve-operations.ts';
import { blameAccess } from './access/blame-access.ts';
import { diffAccess } from './access/diff-access.ts';
import { explainAccess } from './access/explain-access.ts';
import { listAccess } from './access/list-access.ts';
import { replayAccess } from './access/replay-access.ts';
import { testAccess } from './access/test-access.ts';
import { certifyAccessRequest } from './access-request/certify-access-request.ts';
import { createAccessRequest } from './access-request/create-access-request.ts';
import { deleteAccessRequest } from './access-request/delete-access-request.ts';
import { listAccessRequests } from './access-request/list-access-requests.ts';
import { readAccessRequest } from './access-request/read-access-request.ts';
import { resolveAccessRequest } from './access-request/resolve-access-request.ts';
import { readRotations } from './authority/read-rotations.ts';
import { rotateAuthorities } from './authority/rotate-authorities.ts';
import { emitAudit } from './audit/emit-audit.ts';
import { searchAudit } from './audit/search-audit.ts';
import { exportAuthorityKeys } from './authority/export-authority-keys.ts';
import { listAuthorities } from './authority/list-authorities.ts';
import { listAuthorityKeys } from './authority/list-authority-keys.ts';
import { pingCluster } from './cluster/ping-cluster.ts';
import { readAuthPreference } from './cluster/read-auth-preference.ts';
import { readClusterStatus } from './cluster/read-cluster-status.ts';
import { readHostAuthorities } from './cluster/read-host-authorities.ts';
import type { AuthDeps } from './deps.ts';
import { heartbeat } from './host/heartbeat.ts';
import { joinHost } from './host/join-host.ts';
import { listHosts } from './host/list-hosts.ts';
import { removeHost } from './host/remove-host.ts';
import { renewHost } from './host/renew-host.ts';
import { listIdentities } from './identity/list-identities.ts';
import { signHostIdentity } from './identity/sign-host-identity.ts';
import { signUserIdentity } from './identity/sign-user-identity.ts';
import type { Bound } from './implementing.ts';
import { createLock } from './lock/create-lock.ts';
import { deleteLock } from './lock/delete-lock.ts';
import { listLocks } from './lock/list-locks.ts';
import { acceptInvite } from './invite/accept-invite.ts';
import { readInvite } from './invite/read-invite.ts';
import { readLogInfo } from './log/read-log-info.ts';
import { readRecovery } from './log/read-recovery.ts';
import { readRequestOutcome } from './log/read-request-outcome.ts';
import { recoverLog } from './log/recover-log.ts';
import { eraseRecording } from './recording/erase-recording.ts';
import { listRecordings } from './recording/list-recordings.ts';
import { openRecording } from './recording/open-recording.ts';
import { readRecording } from './recording/read-recording.ts';
import { uploadRecording } from './recording/upload-recording.ts';
import { createResource } from './resource/create-resource.ts';
import { deleteResource } from './resource/delete-resource.ts';
import { exportResources } from './resource/export-resources.ts';
import { listResources } from './resource/list-resources.ts';
import { readResourceHistory } from './resource/read-resource-history.ts';
import { readResource } from './resource/read-resource.ts';
import { updateResource } from './resource/update-resource.ts';
import { establishTrust } from './trust/establish-trust.ts';
import { followTrust } from './trust/follow-trust.ts';
import { leafAuthorities } from './trust/leaf-authorities.ts';
import { findSession } from './session/find-session.ts';
import { listSessions } from './session/list-sessions.ts';
import { createToken } from './token/create-token.ts';
import { deleteToken } from './token/delete-token.ts';
import { listTokens } from './token/list-tokens.ts';
import { beginCodeDevice } from './user/begin-code-device.ts';
import { changePassword } from './user/change-password.ts';
import { createUser } from './user/create-user.ts';
import { deleteUser } from './user/delete-user.ts';
import { listDevices } from './user/list-devices.ts';
import { listUsers } from './user/list-users.ts';
import { logIn } from './user/log-in.ts';
import { renewCertificates } from './user/renew-certificates.ts';
import { resetUser } from './user/reset-user.ts';
import { setCodeDevice } from './user/set-code-device.ts';
import { unlockUser } from './user/unlock-user.ts';

/** Everything an auth server does for callers: one use case for each row of the contract. */
export const useCases: readonly Bound[] = [
  ...[pingCluster, readHostAuthorities, readClusterStatus, readAuthPreference, listAuthorities],
  ...[rotateAuthorities, readRotations],
  ...[listAuthorityKeys, exportAuthorityKeys],
  ...[signUserIdentity, signHostIdentity, listIdentities],
  ...[logIn, renewCertificates, createUser, resetUser, unlockUser, deleteUser, listUsers],
  ...[changePassword, beginCodeDevice, setCodeDevice, listDevices],
  ...[readInvite, acceptInvite],
  ...[createToken, listTokens, deleteToken],
  ...[establishTrust, followTrust, leafAuthorities],
  ...[joinHost, renewHost, heartbeat, listHosts, removeHost],
  ...[findSession, listSessions],
  ...[createLock, listLocks, deleteLock],
  ...[listResources, readResource, readResourceHistory, exportResources],
  ...[createResource, updateResource, deleteResource],
  ...[createAccessRequest, listAccessRequests, readAccessRequest, resolveAccessRequest],
  ...[deleteAccessRequest, certifyAccessRequest],
  ...[explainAccess, listAccess, diffAccess, blameAccess, testAccess, replayAccess],
  ...[emitAudit, searchAudit],
  ...[uploadRecording, openRecording, readRecording, listRecordings, eraseRecording],
  ...[readLogInfo, readRecovery, recoverLog, readRequestOutcome],
];

export const implementations = (deps: AuthDeps): readonly Implementation[] =>
  useCases.map((one) => one.on(deps));
