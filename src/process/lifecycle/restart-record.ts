import { join } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../../base/errors.ts';
import { writeFileAtomic } from '../../base/files.ts';
import type { LogSink } from '../../base/log-sink.ts';
import { instant } from '../../base/time.ts';
import { readOptional } from '../identity/host-uuid.ts';

const restartRecord = z.discriminatedUnion('status', [
  z.object({ status: z.literal('succeeded'), at: instant }),
  z.object({
    status: z.literal('failed'),
    at: instant,
    reason: z.string(),
    /** Empty when it was ended by a signal. */
    exitCode: z.string(),
    /** The last warnings of the new process. */
    lastLines: z.array(z.string()).readonly(),
  }),
]);
/** The result of the last attempt to start a successor. */
export type RestartRecord = z.infer<typeof restartRecord>;

const pathOf = (dataDir: string): string => join(dataDir, 'proc', 'restart.json');

/** Stores it for `tctl status`. A full disk does not end a daemon that serves. */
export function saveRestart(dataDir: string, record: RestartRecord, sink: LogSink): void {
  try {
    writeFileAtomic(pathOf(dataDir), `${JSON.stringify(record)}\n`, 0o600);
  } catch (e) {
    sink.warn('how the reload went could not be written down', { reason: messageOf(e) });
  }
}

/** Undefined when there was none, or the record cannot be read. */
export function loadRestart(dataDir: string): RestartRecord | undefined {
  try {
    const parsed = restartRecord.safeParse(JSON.parse(readOptional(pathOf(dataDir)) ?? ''));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
