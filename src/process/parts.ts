import type { Listeners } from '../base/service.ts';
import type { World } from '../base/world.ts';
import type { Configuration } from './configuration.ts';
import type { Logger } from './logger.ts';
import type { MetricsRegistry } from './metrics.ts';
import type { Turnstile } from './turnstile.ts';

/** What every role is built from. */
export interface Parts {
  readonly configuration: Configuration;
  readonly world: World;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly listeners: Listeners;
  readonly hostId: string;
  /** argv that runs our own hidden commands. */
  readonly programPath: readonly string[];
  /** What a role waits for before it can serve; undefined: nothing any more. */
  readonly waitsFor: (role: string, text: string | undefined) => void;
  /** Before it joins a cluster, and before it then goes on to serve, a role passes here. */
  readonly turnstile: Turnstile;
}
