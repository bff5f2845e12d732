import { processRef } from '../../base/process-ref.ts';
import type { RecordingState } from '../../domain/recording.ts';
import type { NodeAudit } from '../node-audit.ts';
import type { NodeDeps } from '../node-deps.ts';
import { RecordingSpool } from './recording-spool.ts';
import { RecordingUploads } from './recording-uploads.ts';
import { noRecordings, sessionRecordings, type SessionRecordings } from './session-recordings.ts';
import { tellRecordings } from './tell-recordings.ts';

/** The recordings of a node. */
export interface Recordings {
  readonly sessions: SessionRecordings;
  /** Those that auth does not have whole. */
  pending(): number;
  /** What is not sent stays on the disk, for the next process. */
  stop(): Promise<void>;
}

/** @throws CodedError `misconfigured` for a directory that cannot be used. */
export function openRecordings(
  { config, world, sink, auth }: Pick<NodeDeps, 'config' | 'world' | 'sink' | 'auth'>,
  audit: NodeAudit,
  state: () => RecordingState,
): Recordings {
  const { recordingSpool: directory } = config;
  if (directory === undefined)
    return { sessions: noRecordings, pending: () => 0, stop: () => Promise.resolve() };
  const owner = processRef(process.pid) ?? { pid: process.pid, startTime: '0' };
  const unique = Buffer.from(world.randomBytes(4)).toString('hex');
  const spool = new RecordingSpool({ directory, owner, unique });
  const uploads = new RecordingUploads({ spool, auth, world, sink, tell: tellRecordings(audit, world) });
  return {
    sessions: sessionRecordings({ state, uploads, world }),
    pending: () => uploads.pending,
    stop: () => uploads.stop(),
  };
}
