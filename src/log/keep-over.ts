import { CodedError } from '../base/errors.ts';
import type { BlobStore } from './slot-driver.ts';

/**
 * Stores a part of a snapshot. There can only be another value under its name when the store went back since,
 * or a process died while it wrote: the newer one counts.
 */
export async function keepOver(blobs: BlobStore, key: string, value: Uint8Array): Promise<void> {
  for (;;) {
    const outcome = await blobs.create(key, value);
    if (outcome === 'created') return;
    if (outcome === 'destroyed')
      throw new CodedError('damaged', `the snapshot ${key} was destroyed for good`);
    await blobs.remove(key);
  }
}
