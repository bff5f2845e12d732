import { readClusterStatus } from '../../api/operations.ts';
import type { OutputOf } from '../../api/operation.ts';
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
    ...storeRows(found),
    ...found.drift.map((one): [string, string] => ['Differs', driftText(one)]),
    ...(found.trouble === '' ? [] : [['Trouble', found.trouble] as [string, string]]),
  ];
  io.stdout.write(formatPairs(rows));
  return 0;
}

type Status = OutputOf<typeof readClusterStatus>;

function storeRows({ store }: Status): [string, string][] {
  if (store === undefined) return [];
  const figures = Object.entries(store.figures).map(([name, value]) => `${name}=${value}`);
  return [
    ['Store', `${store.type} ${store.place}`],
    ...(figures.length > 0 ? [['Store figures', figures.join(' ')] as [string, string]] : []),
  ];
}

/** A key about which the configuration files of the auth servers differ. */
const driftText = ({ key, standing, others }: Status['drift'][number]): string =>
  `${key}: "${standing}" stands; ${others.map(({ nodename, value }) => `${nodename} says "${value}"`).join(', ')}`;
