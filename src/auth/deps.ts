import type { Outlook } from '../log/growth.ts';
import type { Call } from '../api/server-deps.ts';
import { actorOf } from '../api/guard.ts';
import type { OtherClusters } from '../api/trust-client.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { Metrics } from '../base/service.ts';
import type { World } from '../base/world.ts';
import type { ClusterLog } from '../log/event-log.ts';
import type { Cause, Position } from '../log/event.ts';
import type { Terms } from '../log/execute.ts';
import type { Witnesses } from '../log/signed-head-witness.ts';
import type { Afterwards } from './afterwards.ts';
import type { AuditWriter } from './audit/audit-writer.ts';
import type { AuthViews } from './auth-views.ts';
import type { ClockWatch } from './clocks.ts';
import type { FoldLag } from './log/fold-lag.ts';
import type { HostAges } from './host/host-ages.ts';
import type { RenewalTurns } from './host/renewal-turns.ts';
import type { JoinGate } from './host/join-gate.ts';
import type { LoginGate } from './user/login-gate.ts';
import type { OwnAudit } from './audit/own-audit.ts';
import type { AttemptsTeller } from './audit/tell-attempts.ts';
import type { PastFolds } from './past/past-folds.ts';
import type { RecordingStore } from '../recording/recording-store.ts';
import type { SessionKeys } from './recording/session-keys.ts';
import type { PresenceWriter } from './host/presence-writer.ts';
import type { Quotas } from './limits/quotas.ts';
import type { SigningHeads } from './log/sign-heads.ts';
import type { SharedLook } from './shared-look.ts';
import type { KeyChest } from './secrets/signing-keys.ts';
import type { StoreContact } from './log/store-contact.ts';
import type { KnownStaticToken } from './token/static-tokens.ts';
import type { TurnedAway } from './limits/turned-away.ts';

/** What the use cases work with. Made once, by `service.ts`. */
export interface AuthDeps {
  /** Refuses appends while the clock of this server cannot be trusted. */
  readonly log: ClusterLog;
  readonly world: World;
  readonly sink: LogSink;
  readonly metrics: Metrics;
  /** Of this auth server. */
  readonly hostId: string;
  readonly views: AuthViews;
  /** The same at earlier positions. */
  readonly past: PastFolds;
  readonly keys: KeyChest;
  /** To be asked before anything is signed. */
  readonly lag: FoldLag;
  readonly contact: StoreContact;
  readonly clocks: ClockWatch;
  readonly afterwards: Afterwards;
  readonly audit: AuditWriter;
  readonly ownAudit: OwnAudit;
  readonly attemptsTeller: AttemptsTeller;
  /** What is recorded of sessions, and the keys under which it is. */
  readonly recordings: { readonly store: RecordingStore; readonly keys: SessionKeys };
  readonly gate: LoginGate;
  readonly joins: JoinGate;
  readonly renewals: RenewalTurns;
  readonly quotas: Quotas;
  readonly hostAges: HostAges;
  /** Counts attempts with links that do not work. */
  readonly badLinks: TurnedAway;
  /** `views.fresh` for callers that have proved nothing. */
  readonly lookForLinks: SharedLook;
  /** Tokens of this server's file. */
  readonly staticTokens: readonly KnownStaticToken[];
  /** Names and addresses in this server's file by which people know the cluster: no node may have one. */
  readonly reservedNames: readonly string[];
  /** How long certificates of hosts are valid. */
  readonly hostCertificateTtlMs: number;
  /** Infinite: never. */
  readonly forgetHostsAfterMs: number;
  /** For how long the store has space; undefined while it is away. */
  readonly outlook: () => Promise<Outlook | undefined>;
  readonly presence: PresenceWriter;
  readonly heads: SigningHeads;
  readonly witnesses: Witnesses;
  /** Auth servers of clusters that this one trusts, or shall. */
  readonly otherClusters: OtherClusters;
}

/**
 * How a call's commands are executed: on the log as it was when the call looked, and only while its caller
 * waits.
 */
export const termsOf = ({ deadline }: Call, asOf: Position): Terms => ({ asOf, deadline });

/** The cause of this call's facts. */
export const causeOf = (deps: Pick<AuthDeps, 'world'>, call: Call): Cause => ({
  at: deps.world.now(),
  actor: actorOf(call.caller),
  requestId: call.requestId,
});
