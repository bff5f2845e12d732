import type { LookUpName } from '../base/name-lookup.ts';
import type { Listeners } from '../base/service.ts';
import type { World } from '../base/world.ts';
import type { Configuration } from './configuration/configuration.ts';
import type { Logger } from './logging/logger.ts';
import type { MetricsRegistry } from './diagnostics/metrics.ts';
import type { Turnstile } from './lifecycle/turnstile.ts';

/** What every role is built from. */
export interface Parts {
  readonly configuration: Configuration;
  readonly world: World;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly listeners: Listeners;
  readonly hostId: string;
  /** For names that people ask for; names in the configuration are dialled as they are. */
  readonly lookUpName: LookUpName;
  /** argv that runs our own hidden commands. */
  readonly programPath: readonly string[];
  /** What a service waits for before it can serve; undefined: nothing any more. */
  readonly waitsFor: (service: string, text: string | undefined) => void;
  /** A role passes here before it joins a cluster, and again before it begins to serve after that. */
  readonly turnstile: Turnstile;
}
