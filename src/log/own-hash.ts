/* What a store needs to know about a batch: little to load in a thread of its own. */

export const hashBytes = 32;
/** The predecessor of slot 1. */
export const noHash: Buffer = Buffer.alloc(hashBytes);

/**
 * Own hash of a batch as it is stored: the last 32 bytes in every version. Does not check whether the rest is
 * sound.
 */
export const ownHash = (stored: Uint8Array): Buffer =>
  Buffer.from(
    stored.buffer,
    stored.byteOffset + Math.max(0, stored.byteLength - hashBytes),
    Math.min(hashBytes, stored.byteLength),
  );
