import type { Listeners } from '../base/service.ts';
import type { World } from '../base/world.ts';
import type { Configuration } from './configuration.ts';
import type { Logger } from './logger.ts';
import type { MetricsRegistry } from './metrics.ts';

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
  /** What each role waits for before it can serve, for `/readyz`. */
  readonly waiting: Map<string, string>;
}
