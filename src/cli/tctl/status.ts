import { readClusterStatus } from '../../api/operations.ts';
import type { OutputOf } from '../../api/operation.ts';
import { loadRestart, type RestartRecord } from '../../process/restart-record.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { formatPairs } from '../table.ts';
import { withAuth } from './connect.ts';

/** `tctl status` */
export async function status(invocation: Invocation, io: CliIo): Promise<number> {
  const { found, dataDir } = await withAuth(invocation, io, async (auth, configuration) => ({
    found: await auth.call(readClusterStatus, {}),
    dataDir: configuration.dataDir,
  }));
  const rows: [string, string][] = [
    ['Cluster', found.clusterName],
    ['Version', found.serverVersion],
    ['User CA', found.userAuthority],
    ['Host CA', found.hostAuthority],
    ...found.caPins.map((pin): [string, string] => ['CA pin', pin]),
    ...(found.logKey === '' ? [] : [['Log key', found.logKey] as [string, string]]),
    ...storeRows(found),
    ...found.drift.map((one): [string, string] => ['Differs', driftText(one)]),
    ...quotaRows(found),
    ...(found.clock === '' ? [] : [['Clock', found.clock] as [string, string]]),
    ...reloadRows(loadRestart(dataDir)),
    ...(found.trouble === '' ? [] : [['Trouble', found.trouble] as [string, string]]),
  ];
  io.stdout.write(formatPairs(rows));
  return 0;
}

/** A reload of the daemon on this machine that failed, as long as none succeeded since. */
function reloadRows(last: RestartRecord | undefined): [string, string][] {
  if (last?.status !== 'failed') return [];
  const lines = last.lastLines.map((line): [string, string] => ['', line]);
  return [['Last reload', `failed at ${last.at}: ${last.reason}`], ...lines];
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

/** Most recent first; of many only so many, with how many there are. */
const shownOverQuota = 10;

function quotaRows({ overQuota }: Status): [string, string][] {
  const rows = overQuota
    .toSorted((a, b) => (a.at < b.at ? 1 : -1))
    .map((one): [string, string] => [
      'Over quota',
      `${one.who}: ${one.quota}, at ${one.at}${one.refused > 0 ? `, ${one.refused} times since it was told` : ''}`,
    ]);
  const more = rows.length - shownOverQuota;
  return [
    ...rows.slice(0, shownOverQuota),
    ...(more > 0 ? [['', `and ${more} more`] as [string, string]] : []),
  ];
}

/** A key about which the configuration files of the auth servers differ. */
const driftText = ({ key, standing, others }: Status['drift'][number]): string =>
  `${key}: "${standing}" stands; ${others.map(({ nodename, value }) => `${nodename} says "${value}"`).join(', ')}`;
