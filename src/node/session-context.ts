import type { LogSink } from '../base/log-sink.ts';
import type { LookUpName } from '../base/name-lookup.ts';
import type { World } from '../base/world.ts';
import type { JoinMode } from '../domain/role-joining.ts';
import type { AcceptsVariable } from '../machine/accepted-variables.ts';
import type { SshConnection } from '../ssh/cert-server.ts';
import type { LibcLoad } from '../machine/libc.ts';
import type { LoginDefs } from '../machine/login-defs.ts';
import type { Accounts } from '../machine/passwd.ts';
import type { ProgramStarter } from '../machine/program-starter.ts';
import type { ConnectionAgent } from './agent-socket.ts';
import type { FilePrograms } from './file-programs.ts';
import type { SharedAbout, SharedSessions } from './joining/shared-terminal.ts';
import type { LiveSessionList } from './live-sessions.ts';
import type { AuditSubject, NodeAudit } from './node-audit.ts';
import type { SessionRecordings } from './recording/session-recordings.ts';

/** Shared by all sessions of a node. */
export interface NodeContext {
  readonly world: World;
  readonly sink: LogSink;
  readonly audit: NodeAudit;
  readonly accounts: Accounts;
  readonly libc: LibcLoad;
  readonly starter: ProgramStarter;
  readonly filePrograms: FilePrograms;
  readonly loginDefs: LoginDefs;
  readonly hostId: string;
  readonly clusterName: string;
  /** For variables from a client, or from the file in a person's home. */
  readonly acceptsVariable: AcceptsVariable;
  readonly permitUserEnvironment: boolean;
  readonly admitsLockedAccounts: boolean;
  readonly webProxyAddress: () => string;
  /** Undefined while the disk accepts the records of sessions. */
  readonly diskTrouble: () => string | undefined;
  readonly labels: () => Readonly<Record<string, string>>;
  readonly lookUpName: LookUpName;
  readonly liveSessions: Pick<LiveSessionList, 'begin' | 'changed' | 'isElsewhere'>;
  /** Those of this process, which others may join. */
  readonly shared: SharedSessions;
  readonly recordings: SessionRecordings;
  readonly nodename: string;
  /** Aborted when the node ends at once: open streams are cut then. */
  readonly stop: AbortSignal;
}

export interface SessionName {
  readonly id: string;
  /** The id by which a proxy of ours knows the connection, where that is another one. */
  readonly connectedAs?: string;
}

/** What a session knows about its connection. */
export interface SessionContext extends NodeContext {
  readonly connection: SshConnection;
  readonly subject: AuditSubject;
  /** Called once. */
  readonly nameSession: () => SessionName;
  /** Aborted when the connection is closed. */
  readonly left: AbortSignal;
  /** By certificate and roles, now. */
  readonly mayLendAgent: () => boolean;
  readonly agent: Pick<ConnectionAgent, 'lend'>;
  /** Of the person, now. */
  readonly roleNames: () => readonly string[];
  /** By roles, now: as what this person may take part in the session of another one. */
  readonly mayJoin: (session: SharedAbout) => ReadonlySet<JoinMode>;
  /** A byte went either way. */
  readonly onActivity: () => void;
  /** For how long none did, on the whole connection. */
  readonly idleMs: () => number;
}
