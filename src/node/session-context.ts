import type { LogSink } from '../base/log-sink.ts';
import type { World } from '../base/world.ts';
import type { AcceptsVariable } from '../ssh/accepted-variables.ts';
import type { SshConnection } from '../ssh/cert-server.ts';
import type { LibcLoad } from '../ssh/libc.ts';
import type { LoginDefs } from '../ssh/login-defs.ts';
import type { Accounts } from '../ssh/passwd.ts';
import type { FilePrograms } from './file-programs.ts';
import type { AuditSubject, NodeAudit } from './node-audit.ts';

/** What all sessions of a node share. */
export interface NodeContext {
  readonly world: World;
  readonly sink: LogSink;
  readonly audit: NodeAudit;
  readonly accounts: Accounts;
  readonly libc: LibcLoad;
  readonly filePrograms: FilePrograms;
  readonly loginDefs: LoginDefs;
  readonly hostId: string;
  readonly clusterName: string;
  /** Of those that a client, or the file in a person's home, sets. */
  readonly acceptsVariable: AcceptsVariable;
  readonly permitUserEnvironment: boolean;
  readonly admitsLockedAccounts: boolean;
  readonly webProxyAddress: () => string;
  readonly labels: () => Readonly<Record<string, string>>;
}

/** What a session knows of the connection it is on. */
export interface SessionContext extends NodeContext {
  readonly connection: SshConnection;
  readonly subject: AuditSubject;
  /** By certificate and roles, now. */
  readonly mayLendAgent: () => boolean;
  /** A byte went either way. */
  readonly onActivity: () => void;
}
