import type { SlotDriver } from '../log/slot-driver.ts';

/** Where the log is. */
export interface StorageLocation {
  readonly storagePath: string;
}

/** The one door to /backends. Each is loaded only when it is asked for. */
export async function openBackend({ storagePath }: StorageLocation): Promise<SlotDriver> {
  const { openDirectoryDriver } = await import('../../backends/dir/open.ts');
  return openDirectoryDriver({ path: storagePath });
}

/**
 * For looking only: makes and changes nothing, works beside a running daemon and on a copy.
 * @throws CodedError `not_found` when there is no log.
 */
export async function openBackendForReading({ storagePath }: StorageLocation): Promise<SlotDriver> {
  const { openDirectoryReader } = await import('../../backends/dir/open.ts');
  return openDirectoryReader({ path: storagePath });
}
