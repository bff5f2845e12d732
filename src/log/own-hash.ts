/* What a store has to know of a batch: little to load in a thread of its own. */

export const hashBytes = 32;
/** What slot 1 follows. */
export const noHash: Buffer = Buffer.alloc(hashBytes);

/**
 * Own hash of a batch as it is stored: of every version its last 32 bytes. Says nothing about whether the
 * rest is sound.
 */
export const ownHash = (stored: Uint8Array): Buffer =>
  Buffer.from(
    stored.buffer,
    stored.byteOffset + Math.max(0, stored.byteLength - hashBytes),
    Math.min(hashBytes, stored.byteLength),
  );
