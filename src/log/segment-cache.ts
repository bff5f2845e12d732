import type { OpenSegment } from './segment-format.ts';
import type { StoredSlot } from './slot-driver.ts';

const mostBlocks = 16;
const mostHeaders = 256;

/**
 * The headers and blocks of segments that were read last. A search reads from the end, in windows that begin
 * in the middle of a block: without this it would fetch the same block again for each.
 */
export class BlockCache {
  readonly #headers = new Map<string, Promise<OpenSegment>>();
  readonly #blocks = new Map<string, Promise<readonly StoredSlot[]>>();

  /** `read` is called unless it is known. A failure is not remembered. */
  header(name: string, read: () => Promise<OpenSegment>): Promise<OpenSegment> {
    return remembered(this.#headers, name, mostHeaders, read);
  }

  block(key: string, read: () => Promise<readonly StoredSlot[]>): Promise<readonly StoredSlot[]> {
    return remembered(this.#blocks, key, mostBlocks, read);
  }

  /** The header is read again: another may have come in its place. */
  forget(name: string): void {
    this.#headers.delete(name);
  }
}

function remembered<T>(
  all: Map<string, Promise<T>>,
  key: string,
  most: number,
  read: () => Promise<T>,
): Promise<T> {
  const known = all.get(key);
  all.delete(key);
  const value = known ?? read();
  all.set(key, value);
  if (known === undefined) value.catch(() => all.get(key) === value && all.delete(key));
  for (const oldest of all.keys()) {
    if (all.size <= most) break;
    all.delete(oldest);
  }
  return value;
}
