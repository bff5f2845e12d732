import type { SlotDriver } from '../log/slot-driver.ts';
import type { Configuration } from './configuration.ts';

/** The one door to /backends. Each is loaded only when it is asked for. */
export async function openBackend(configuration: Pick<Configuration, 'storagePath'>): Promise<SlotDriver> {
  const { openDirectoryDriver } = await import('../../backends/dir/open.ts');
  return openDirectoryDriver({ path: configuration.storagePath });
}
