import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { asSpoolError } from './spool.ts';

/** Audit events that cannot be stored, complete, one per line, in `refused.ndjson` beside the spool. */
export interface RefusedEvents {
  readonly path: string;
  count(): number;
  /**
   * Durable when it resolves. @throws CodedError `no_space` or `unavailable` when the disk does not accept
   * it.
   */
  keep(text: string): Promise<void>;
}

export function refusedEvents(directory: string): RefusedEvents {
  const path = join(directory, 'refused.ndjson');
  let count = countLines(path);
  return {
    path,
    count: () => count,
    keep: async (text) => {
      try {
        const file = await open(path, 'a', 0o600);
        try {
          await file.writeFile(`${text}\n`);
          await file.sync();
        } finally {
          await file.close();
        }
      } catch (e) {
        throw asSpoolError(e, directory);
      }
      count++;
    },
  };
}

function countLines(path: string): number {
  try {
    return readFileSync(path, 'utf8').split('\n').length - 1;
  } catch (e) {
    if ((e as { code?: unknown }).code === 'ENOENT') return 0;
    throw e;
  }
}
