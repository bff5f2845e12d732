import type { Chunk } from './chunk.ts';

/** Where chunks of one recording go: a file of this machine, or an auth server. */
export interface ChunkSink {
  /**
   * Durable there when it resolves. Called with one after the other, the next one only after the last call
   * has ended.
   * @throws CodedError `no_space` or `unavailable` when they could not be stored: none of them is then.
   */
  write(chunks: readonly Chunk[]): Promise<void>;
  /** Nothing more comes. */
  close(): Promise<void>;
}
