import type { Run } from '../../program.ts';
import { formatPairs, formatTable } from '../../table.ts';
import { openCluster } from './open-cluster.ts';
import { readSettings } from '../settings.ts';

/** `tsh clusters`: what the proxy leads to; the proxy's own cluster first. `-q` leaves the titles out. */
export const clustersCommand: Run = async (invocation, io) => {
  const settings = await readSettings(invocation, io);
  const cluster = await openCluster(settings, io);
  try {
    const rows = (await cluster.sites()).map((s): readonly [string, string] => [s.name, s.status]);
    io.stdout.write(
      invocation.on('quiet') ? formatPairs(rows) : `${formatTable(['Cluster Name', 'Status'], rows)}\n`,
    );
    return 0;
  } finally {
    cluster.close();
  }
};
