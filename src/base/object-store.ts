/**
 * Named values of any size outside the log's own store: a directory, a bucket of S3. What is put there is
 * bulk that is written once and read rarely. `backends/objects/conformance.ts` tests the promises of each
 * call on every one.
 *
 * Names are parts of letters, digits, `.`, `_` and `-`, joined by `/`; no part begins with a dot.
 *
 * Every call throws CodedError `unavailable` when it does not answer or refuses the caller, and `no_space`
 * when it is full.
 */
export interface ObjectStore {
  /** What people call it; contains no secret. */
  readonly place: string;
  /**
   * Durable and whole when it resolves; nobody ever sees a part. Replaces what has the name. When it throws,
   * the old value or the new one is there.
   */
  put(name: string, value: Uint8Array): Promise<void>;
  /** The whole value, or the part of it in `range`, cut at its end. Undefined when there is none. */
  get(name: string, range?: ByteRange): Promise<Uint8Array | undefined>;
  /** Those whose names begin with `prefix`, sorted by name; holds everything that was put before the call. */
  list(prefix: string): Promise<readonly ListedObject[]>;
  /** Does nothing when there is none. */
  remove(name: string): Promise<void>;
  close(): Promise<void>;
}

export interface ByteRange {
  readonly from: number;
  /** At least 1. */
  readonly length: number;
}

export interface ListedObject {
  readonly name: string;
  readonly bytes: number;
}

/** Names that every store takes. */
export const isObjectName = (name: string): boolean =>
  name.length <= 512 && /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/.test(name);

/** @throws RangeError for any other name: a bug of the caller. */
export function requireObjectName(name: string): void {
  if (!isObjectName(name)) throw new RangeError(`not the name of an object: ${JSON.stringify(name)}`);
}
