import { readClusterStatus } from '../../api/operations.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { formatPairs } from '../table.ts';
import { withAuth } from './connect.ts';

/** `tctl status` */
export async function status(invocation: Invocation, io: CliIo): Promise<number> {
  const found = await withAuth(invocation, io, (auth) => auth.call(readClusterStatus, {}));
  const rows: [string, string][] = [
    ['Cluster', found.clusterName],
    ['Version', found.serverVersion],
    ['User CA', found.userAuthority],
    ['Host CA', found.hostAuthority],
    ...found.caPins.map((pin): [string, string] => ['CA pin', pin]),
  ];
  io.stdout.write(formatPairs(rows));
  return 0;
}
