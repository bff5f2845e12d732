import { processRef } from '../base/process-ref.ts';
import { LiveSessionList, noOthers } from './live-sessions.ts';
import type { NodeDeps } from './node-deps.ts';
import { otherProcesses } from './other-processes.ts';

/**
 * @param onChange a list of sessions would show something else now.
 * @throws CodedError `misconfigured` for a directory that others may read.
 */
export function openLiveSessions(
  { config, world, sink }: Pick<NodeDeps, 'config' | 'world' | 'sink'>,
  onChange: () => void,
): LiveSessionList {
  const owner = processRef(process.pid);
  const { liveSessions: directory } = config;
  const unique = Buffer.from(world.randomBytes(4)).toString('hex');
  const others =
    directory === undefined || owner === undefined
      ? noOthers
      : otherProcesses({ directory, owner, unique, sink, onChange });
  return new LiveSessionList({ world, onChange, others });
}
