import { hour, second } from '../base/duration.ts';
import type { SecondFactor } from '../domain/cluster.ts';
import type { Settings } from '../domain/config-facts.ts';
import type { QuotaSettings } from './limits/quota-rules.ts';
import type { StaticToken } from './token/static-tokens.ts';

/** What an auth server goes by where its file says nothing; the schema of the file has them from here. */
export const authDefaults = {
  /** How far behind its store it may be and still issue certificates. */
  maxLogLagMs: 5 * second,
  /** Source: our own choice; a host that was away for less than a third of it needs nobody's help. */
  hostCertificateTtlMs: 90 * 24 * hour,
} as const;

/** What the file says of an auth server, its addresses apart. */
export interface AuthSettings {
  readonly hostId: string;
  readonly nodename: string;
  readonly clusterName: string;
  /** The file gives no cluster_name. Default: it does. */
  readonly nameIsDefault?: boolean;
  readonly secondFactor: SecondFactor;
  /** Further settings of the file that all auth servers share, by their name in it. */
  readonly settings?: Settings;
  /** Join tokens of the file. Default: none. */
  readonly staticTokens?: readonly StaticToken[];
  /**
   * Names and addresses of the file by which people know the cluster: no node that joins is called so.
   * Default: none.
   */
  readonly reservedNames?: readonly string[];
  /**
   * Which of the auth servers that the file names serves a cluster; asked only before one is made. Default:
   * none.
   */
  readonly servedBy?: () => Promise<string | undefined>;
  /** Further behind the store than this, it issues no certificates. Default: `authDefaults`. */
  readonly maxLogLagMs?: number;
  /** Longer without a word of the store it serves nobody. Default: `silenceFor`. */
  readonly storeSilenceMs?: number;
  /** How long certificates of hosts hold. Default: `authDefaults`. */
  readonly hostCertificateTtlMs?: number;
  /** What one caller may take in a time. Default: `usualQuotas`. */
  readonly quotas?: QuotaSettings;
}
