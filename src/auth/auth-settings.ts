import { hour, second } from '../base/duration.ts';
import type { SecondFactor } from '../domain/cluster.ts';
import type { Settings } from '../domain/config-facts.ts';
import type { BootstrapFile } from './restore/bootstrap-file.ts';
import type { QuotaSettings } from './limits/quota-rules.ts';
import type { StaticToken } from './token/static-tokens.ts';

/** The defaults of an auth server; the schema of the file takes them from here. */
export const authDefaults = {
  /** How far behind its store it may be and still issue certificates. */
  maxLogLagMs: 5 * second,
  /** Source: our own choice; a host that was away for less than a third of it recovers without help. */
  hostCertificateTtlMs: 90 * 24 * hour,
  /** How long a machine may be silent before it is no longer a member. Source: our own choice. */
  forgetHostsAfterMs: 48 * hour,
} as const;

/** The settings of an auth server in the file, except for its addresses. */
export interface AuthSettings {
  readonly hostId: string;
  readonly nodename: string;
  readonly clusterName: string;
  /** The file has no cluster_name. Default: it has. */
  readonly nameIsDefault?: boolean;
  readonly secondFactor: SecondFactor;
  /** Further settings of the file that all auth servers share, by their name in it. */
  readonly settings?: Settings;
  /** Join tokens of the file. Default: none. */
  readonly staticTokens?: readonly StaticToken[];
  /**
   * Names and addresses in the file by which people know the cluster: no node may join under one. Default:
   * none.
   */
  readonly reservedNames?: readonly string[];
  /**
   * Which of the auth servers named in the file serves a cluster; asked only before a cluster is created.
   * Default: none.
   */
  readonly servedBy?: () => Promise<string | undefined>;
  /** Reads the file that an empty store is restored from. Default: there is none. */
  readonly bootstrap?: () => Promise<BootstrapFile>;
  /** If it is further behind the store than this, it issues no certificates. Default: `authDefaults`. */
  readonly maxLogLagMs?: number;
  /** After this long without a reply from the store it serves nobody. Default: `silenceFor`. */
  readonly storeSilenceMs?: number;
  /** How long certificates of hosts are valid. Default: `authDefaults`. */
  readonly hostCertificateTtlMs?: number;
  /**
   * How long a machine may be silent before it is no longer a member; infinite: it stays one. Default:
   * `authDefaults`.
   */
  readonly forgetHostsAfterMs?: number;
  /** Quotas of one caller. Default: `usualQuotas`. */
  readonly quotas?: QuotaSettings;
}
