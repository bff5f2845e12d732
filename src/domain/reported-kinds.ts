import { auditCodes } from './audit-codes.ts';

/** What proxies and nodes may say happened; the rest of the audit is told by auth alone. */
export type ReportingRole = 'Node' | 'Proxy';

const { gap, authAttemptFailure, clientDisconnect, sessionRejected } = auditCodes;

const ofBoth: Readonly<Record<string, readonly string[]>> = {
  auth: [authAttemptFailure],
  'client.disconnect': [clientDisconnect],
  'session.rejected': [sessionRejected],
  gap: [gap],
};

const ofNodes: Readonly<Record<string, readonly string[]>> = {
  ...ofBoth,
  'session.start': [auditCodes.sessionStart],
  'session.join': [auditCodes.sessionJoin],
  resize: [auditCodes.terminalResize],
  'session.leave': [auditCodes.sessionLeave],
  'session.end': [auditCodes.sessionEnd],
  'session.upload': [auditCodes.sessionUpload],
  'session.data': [auditCodes.sessionData],
  subsystem: [auditCodes.subsystem, auditCodes.subsystemFailure],
  exec: [auditCodes.exec, auditCodes.execFailure],
  port: [auditCodes.portForward, auditCodes.portForwardFailure],
  scp: [
    ...[auditCodes.scpDownload, auditCodes.scpDownloadFailure],
    ...[auditCodes.scpUpload, auditCodes.scpUploadFailure],
  ],
  'x11-forward': [auditCodes.x11Forward, auditCodes.x11ForwardFailure],
};

const ofProxies: Readonly<Record<string, readonly string[]>> = {
  ...ofBoth,
  // A target that it did not reach. Of forwards that came about only nodes tell.
  port: [auditCodes.portForwardFailure],
};

/** By role and type of event, the codes that it may have. Auth servers are upgraded first, so they know all of their machines. */
export const reportedKinds: Readonly<Record<ReportingRole, Readonly<Record<string, readonly string[]>>>> = {
  Node: ofNodes,
  Proxy: ofProxies,
};

export const mayReport = (role: ReportingRole, event: string, code: string): boolean =>
  Object.hasOwn(reportedKinds[role], event) && (reportedKinds[role][event] ?? []).includes(code);
