import { z } from 'zod';
import { instant } from '../base/time.ts';
import { auth, count, row, text, texts } from './audit-fields.ts';
import { auditKind } from './audit-kind.ts';
import { authorityEvents } from './audit-catalogue-authorities.ts';
import { clusterEvents } from './audit-catalogue-cluster.ts';
import { recordingEvents } from './audit-catalogue-recordings.ts';
import { requestEvents } from './audit-catalogue-requests.ts';
import { lockKind } from './lock.ts';
import { tokenRole } from './join-token.ts';
import { hostRecord, systemRole } from './host-info.ts';
import { traits } from './role-spec.ts';

/*
 * Every audit event that this release emits: its name, its code, its fields. Operators filter by them, so a
 * code never changes its meaning and a field is never removed. Events of 4.4 keep its names and codes; then
 * come some of its successors'; the last are ours. A code ends in `I` for information, `W` for a warning, `E`
 * for an error. What 4.4 has and this release does not emit is in `audit-reserved.ts`.
 */

const succeeded = { success: z.literal(true) };
const failed = { success: z.literal(false), error: text };
/**
 * `ip:port` of the person or machine and of its peer. A node adds the address of the proxy between them, and
 * an address that was claimed but not believed. Where a balancer told the first one, its own is beside it.
 */
const addresses = {
  'addr.remote': text.optional(),
  'addr.local': text.optional(),
  'addr.proxy': text.optional(),
  'addr.claimed': text.optional(),
  'addr.balancer': text.optional(),
};
/** Who changed what. */
const changed = { user: text, name: text, updated_by: text };

const node = ['Node'] as const;
const nodeAndProxy = ['Node', 'Proxy'] as const;

const identityRow = row({
  cert_type: z.enum(['user', 'host']),
  user: text,
  /** Who had it signed. */
  signed_by: text,
  serial: text,
  key: text,
  format: text,
  expires: instant,
  roles: texts.optional(),
  logins: texts.optional(),
  names: texts.optional(),
  administers: z.boolean().optional(),
});
/** Somebody of this cluster on a node of another one: which, and as what it was asked for. */
const leafSession = row({ user: text, cluster_name: text, addr: text, 'addr.remote': text });
/** What a lock of `tctl lock` is about. */
const locked = { target_kind: lockKind, target_name: text };

const users = {
  userLogin: auditKind(
    'user.login',
    'T1000I',
    auth,
    row({ user: text, method: text, ...succeeded, ...addresses }),
  ),
  userLoginFailure: auditKind(
    'user.login',
    'T1000W',
    auth,
    row({ user: text, method: text, ...failed, ...addresses }),
  ),
  userCreate: auditKind('user.create', 'T1002I', auth, row({ ...changed, roles: texts, connector: text })),
  userUpdate: auditKind(
    'user.update',
    'T1003I',
    auth,
    row({ ...changed, roles: texts.optional(), traits: traits.optional(), connector: text }),
  ),
  userDelete: auditKind('user.delete', 'T1004I', auth, row(changed)),
  userPasswordChange: auditKind('user.password_change', 'T1005I', auth, row({ user: text, ...addresses })),
  /** A person replaced its own code device. One that is set up with a password is no event of its own. */
  mfaAdd: auditKind(
    'mfa.add',
    'T1006I',
    auth,
    row({ user: text, mfa_device_name: text, mfa_device_type: text, ...addresses }),
  ),
  resetPasswordTokenCreate: auditKind(
    'reset_password_token.create',
    'T6000I',
    auth,
    row({ ...changed, purpose: text, ttl: text, expires: instant }),
  ),
  resetPasswordTokenOpen: auditKind(
    'reset_password_token.open',
    'T6001I',
    auth,
    row({ user: text, purpose: text, ...addresses }),
  ),
  lockCreated: auditKind(
    'lock.created',
    'TLK00I',
    auth,
    // `from`: logins from there alone are locked.
    row({ user: text, name: text, expires: instant, message: text, from: text.optional() }),
  ),
  lockDeleted: auditKind('lock.deleted', 'TLK01I', auth, row(changed)),
  /** Locks by `tctl lock`; the event above is about failed logins. `name` is the id of the lock. */
  accessLockCreated: auditKind(
    'lock.created',
    'TLK02I',
    auth,
    row({ ...changed, ...locked, expires: instant.optional(), message: text }),
  ),
  accessLockDeleted: auditKind('lock.deleted', 'TLK03I', auth, row({ ...changed, reason: text })),
  userCertificate: auditKind(
    'cert.create',
    'TC000I',
    auth,
    row({
      cert_type: z.literal('user'),
      user: text,
      roles: texts,
      logins: texts,
      ttl_seconds: count,
      /** Decimal, as `tctl lock --serial` takes it. */
      serial: text.optional(),
      ...addresses,
    }),
  ),
  /** Signed by an operator, without a login. */
  identitySigned: auditKind('cert.create', 'TC001I', auth, identityRow),
  /** The same, for longer than the roles or the setting for hosts allow. */
  identityForced: auditKind('cert.create', 'TC001W', auth, identityRow),
  /** A certificate that was still valid was exchanged for a new one, without a password. */
  certificateRenewed: auditKind(
    'cert.create',
    'TC002I',
    auth,
    row({
      cert_type: z.literal('user'),
      user: text,
      roles: texts,
      logins: texts,
      ttl_seconds: count,
      serial: text,
      renews: text,
      logged_in: instant,
      /** Approved access requests that it names, and that add to `roles`. */
      access_requests: texts.optional(),
      ...addresses,
    }),
  ),
  /** The private keys of an authority left the cluster. */
  authorityKeysExported: auditKind(
    'cert_authority.export',
    'TCA100W',
    auth,
    row({ user: text, name: text, type: text, keys: texts }),
  ),
} as const;

const exit = { exitCode: text, exitError: text.optional() };
const transfer = {
  path: text,
  action: z.enum(['upload', 'download']),
  command: text,
  bytes: count.optional(),
};

const sessions = {
  sessionRejected: auditKind('session.rejected', 'T1006W', node, row({ reason: text, max: count })),
  sessionStart: auditKind(
    'session.start',
    'T2000I',
    node,
    row({
      /** `columns:rows` of its terminal. */
      size: text.optional(),
      command: text.optional(),
      original_command: text.optional(),
      /** A further session of somebody of another cluster: the id by which that knows the connection. */
      connected_as: text.optional(),
      server_labels: z.record(text, text).readonly(),
    }),
  ),
  terminalResize: auditKind('resize', 'T2002I', node, row({ size: text })),
  sessionData: auditKind('session.data', 'T2006I', node, row({ rx: count, tx: count })),
  subsystem: auditKind('subsystem', 'T3001I', node, row({ name: text, ...exit })),
  subsystemFailure: auditKind(
    'subsystem',
    'T3001E',
    node,
    row({ name: text, exitCode: text.optional(), exitError: text }),
  ),
  exec: auditKind('exec', 'T3002I', node, row({ command: text, ...exit })),
  execFailure: auditKind('exec', 'T3002E', node, row({ command: text, ...exit })),
  portForward: auditKind('port', 'T3003I', node, row({ addr: text, ...succeeded })),
  /**
   * A forwarded connection that failed. From a proxy: a node or another target that was requested and not
   * reached.
   */
  portForwardFailure: auditKind(
    'port',
    'T3003E',
    nodeAndProxy,
    row({ addr: text, ...failed, user: text.optional(), login: text.optional(), ...addresses }),
  ),
  scpDownload: auditKind('scp', 'T3004I', node, row({ ...transfer, ...exit })),
  scpDownloadFailure: auditKind('scp', 'T3004E', node, row({ ...transfer, ...exit })),
  scpUpload: auditKind('scp', 'T3005I', node, row({ ...transfer, ...exit })),
  scpUploadFailure: auditKind('scp', 'T3005E', node, row({ ...transfer, ...exit })),
  /** Somebody was connected to a node of another cluster, which names the session. */
  sessionConnect: auditKind('session.connect', 'T2010I', ['Proxy'], leafSession),
  sessionDisconnect: auditKind('session.disconnect', 'T2011I', ['Proxy'], leafSession),
  clientDisconnect: auditKind(
    'client.disconnect',
    'T3006I',
    nodeAndProxy,
    row({ reason: text, user: text.optional(), login: text.optional(), ...addresses }),
  ),
  authAttemptFailure: auditKind(
    'auth',
    'T3007W',
    nodeAndProxy,
    // `user`: the key id of a certificate that may have proved nothing.
    row({ ...failed, login: text, proto: text, user: text.optional(), ...addresses }),
  ),
} as const;

const role = row({ user: text, updated_by: text, name: text });
const machine = {
  server_id: text,
  server_hostname: text,
  server_addr: text.optional(),
  /** In place of the address, for a host that is not reached at an address. */
  reached_by: text.optional(),
  server_labels: hostRecord.shape.labels,
  role: text,
  version: text,
};
const joiner = { host_id: text, nodename: text, role: text, key: text, 'addr.remote': text };
const token = { user: text, updated_by: text, token_id: text };

const cluster = {
  roleCreated: auditKind('role.created', 'T9000I', auth, role),
  roleDeleted: auditKind('role.deleted', 'T9001I', auth, role),
  roleUpdated: auditKind('role.updated', 'T9002I', auth, role),
  authPreferenceUpdate: auditKind(
    'auth_preference.update',
    'TCAUTH001I',
    auth,
    row({ user: text, second_factor: text }),
  ),
  hostCertificate: auditKind(
    'cert.create',
    'TC000I',
    auth,
    row({
      cert_type: z.literal('host'),
      host_id: text,
      nodename: text,
      role: systemRole,
      serial: text.optional(),
    }),
  ),
  hostJoin: auditKind('instance.join', 'TJ002I', auth, row({ ...succeeded, ...machine })),
  hostChange: auditKind('instance.update', 'TJ100I', auth, row(machine)),
  hostLeave: auditKind('instance.leave', 'TJ101I', auth, row({ server_id: text, role: text, reason: text })),
  /** A token gave the id of a machine to another key. */
  hostRekey: auditKind(
    'instance.rekey',
    'TJ102W',
    auth,
    row({
      server_id: text,
      server_hostname: text,
      role: text,
      token_id: text,
      key: text,
      previous_key: text,
      'addr.remote': text,
    }),
  ),
  joinTokenCreate: auditKind(
    'join_token.create',
    'TJT00I',
    auth,
    row({
      ...token,
      roles: z.array(tokenRole).readonly(),
      expires: instant,
      uses: count.optional(),
      names: texts.optional(),
    }),
  ),
  joinTokenDelete: auditKind('join_token.delete', 'TJT01I', auth, row(token)),
  joinTokenUse: auditKind('join_token.use', 'TJT02I', auth, row({ ...succeeded, token_id: text, ...joiner })),
  joinTokenRefused: auditKind(
    'join_token.use',
    'TJT02W',
    auth,
    // `token_id`: only where the secret was that of a token.
    row({ ...failed, token_id: text.optional(), ...joiner }),
  ),
  ...clusterEvents,
  /** Events that were dropped, or attempts that got no event of their own, with their number. */
  gap: auditKind(
    'gap',
    'TG000W',
    ['Auth', 'Node', 'Proxy'],
    row({
      /** Type of the events that it stands for. */
      about: text,
      count,
      since: text,
      message: text,
      addresses: z.record(text, count).readonly().optional(),
      /** The one event that could not be stored, and whom it was about. */
      lost: z.looseObject({ bytes: count, sha256: text }).optional(),
      user: text.optional(),
      login: text.optional(),
    }),
  ),
  /** A machine or a person reached a limit on what it may report, join or ask. */
  quotaExceeded: auditKind(
    'quota.exceeded',
    'TQ000W',
    auth,
    row({ about: text, quota: text, refused: count, message: text }),
  ),
} as const;

export const catalogue = {
  ...users,
  ...sessions,
  ...cluster,
  ...authorityEvents,
  ...requestEvents,
  ...recordingEvents,
} as const;
