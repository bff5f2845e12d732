import type { StreamName } from '../log/event.ts';
import type { AuditEvent } from './audit-event.ts';

/** Names of the streams, by category. What is after the first `-` is the id, whatever it contains. */
export const clusterStream = 'cluster-main' satisfies StreamName;
/** The settings in the configuration files of the auth servers, and the values that apply. */
export const configurationStream = 'configuration-main' satisfies StreamName;
/** How sessions are recorded. */
export const recordingStream = 'recording-main' satisfies StreamName;
/** What an empty store is restored from. */
export const restoreStream = 'restore-main' satisfies StreamName;

export const authorityStream = (type: 'user' | 'host'): StreamName => `authority-${type}`;
export const roleStream = (name: string): StreamName => `role-${name}`;
export const userStream = (username: string): StreamName => `user-${username}`;
/** `tokenHash` is the lower-case hex SHA-256 of the token, never the token. */
export const inviteStream = (tokenHash: string): StreamName => `invite-${tokenHash}`;
/** As for invites. The stream exists once the token was created, or a static one was used. */
export const tokenStream = (tokenHash: string): StreamName => `token-${tokenHash}`;
/** Of certificates that an operator had signed; the serial is decimal. */
export const identityStream = (serial: string): StreamName => `identity-${serial}`;
export const lockStream = (lockId: string): StreamName => `lock-${lockId}`;
/** Of access requests: roles that somebody asks for. */
export const accessRequestStream = (requestId: string): StreamName => `request-${requestId}`;
/** Of another cluster whose people are let in here; of one that lets in the people of this one. */
export const trustedClusterStream = (clusterName: string): StreamName => `trusted-${clusterName}`;
export const remoteClusterStream = (clusterName: string): StreamName => `remote-${clusterName}`;
export const hostStream = (hostId: string): StreamName => `host-${hostId}`;
/** Partition `presence`; one writer each, so renewals of different auth servers never conflict. */
export const presenceStream = (authHostId: string): StreamName => `presence-${authHostId}`;

/** Partition `audit`: what was told of the partition `attempts`, in its order. */
export const toldAttemptsStream = 'attempts-told' satisfies StreamName;

/** Partition `audit`: events of one session share a stream; others go by the server that saw them. */
export const auditStream = (event: Pick<AuditEvent, 'sid' | 'server_id'>, authHostId: string): StreamName =>
  event.sid ? `session-${event.sid}` : `audit-${event.server_id ?? authHostId}`;

/** The id of a stream of this category, or undefined for a stream of another one. */
export function idInStream(stream: StreamName, category: string): string | undefined {
  return stream.startsWith(`${category}-`) ? stream.slice(category.length + 1) : undefined;
}
