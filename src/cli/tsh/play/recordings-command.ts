import { listRecordings } from '../../../api/operations/recording.ts';
import type { Run } from '../../program.ts';
import {
  recordingLines,
  recordingQuery,
  recordingTable,
  truncatedText,
} from '../../recordings/recording-list.ts';
import { openInsideAuth } from '../cluster/cluster-auth.ts';
import { openCluster } from '../cluster/open-cluster.ts';
import { readSettings } from '../settings.ts';

/** `tsh recordings ls`: recorded sessions that the user may see. */
export const listRecordingsCommand: Run = async (invocation, io) => {
  const settings = await readSettings(invocation, io);
  const query = recordingQuery(invocation, io, 'of-user');
  const cluster = await openCluster(settings, io, { cluster: invocation.text('cluster') });
  try {
    const auth = await openInsideAuth(cluster, io);
    try {
      const { recordings, truncated } = await auth.call(listRecordings, query);
      const isJson = invocation.text('format') === 'json';
      io.stdout.write(isJson ? recordingLines(recordings) : recordingTable(recordings));
      if (truncated) io.stderr.write(truncatedText(recordings.length));
      return 0;
    } finally {
      auth.close();
    }
  } finally {
    cluster.close();
  }
};
