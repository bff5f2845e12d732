import { filteredSessions, sessionsJson, sessionsText } from '../../sessions-text.ts';
import type { Run } from '../../program.ts';
import { readSettings } from '../settings.ts';
import { listRunningSessions } from './cluster-auth.ts';
import { openCluster } from './open-cluster.ts';

/** `tsh sessions ls`: the person's own sessions with a terminal, and those that rules allow. */
export const sessionsCommand: Run = async (invocation, io) => {
  const settings = await readSettings(invocation, io);
  const cluster = await openCluster(settings, io);
  try {
    const running = await listRunningSessions(cluster, io);
    const shown = filteredSessions(running, { node: invocation.text('node') });
    io.stdout.write(
      invocation.text('format') === 'json' ? sessionsJson(shown) : sessionsText(shown, io.world.now()),
    );
    return 0;
  } finally {
    cluster.close();
  }
};
