import type { AuthClient } from '../../api/client.ts';
import { type AuthorityRotation, readRotations } from '../../api/operations/authority.ts';
import { readClusterStatus } from '../../api/operations/cluster.ts';
import type { OutputOf } from '../../api/operation.ts';
import { isCoded } from '../../base/errors.ts';
import { loadRestart, type RestartRecord } from '../../process/lifecycle/restart-record.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { formatPairs } from '../table.ts';
import { authorityRows } from './auth/rotation-text.ts';
import { withAuth } from './connect.ts';
import { outlookText } from './log/outlook-text.ts';

/** `tctl status` */
export async function status(invocation: Invocation, io: CliIo): Promise<number> {
  const { found, rotations, dataDir } = await withAuth(invocation, io, async (auth, configuration) => ({
    found: await auth.call(readClusterStatus, {}),
    rotations: await rotationsOf(auth),
    dataDir: configuration?.dataDir,
  }));
  const rows: [string, string][] = [
    ['Cluster', found.clusterName],
    ['Version', found.serverVersion],
    ...authorityRowsOf(found, rotations, invocation.on('debug')),
    ...found.caPins.map((pin): [string, string] => ['CA pin', pinText(pin, found)]),
    ...(found.logKey === '' ? [] : [['Log key', found.logKey] as [string, string]]),
    ...storeRows(found),
    ...found.drift.map((one): [string, string] => ['Differs', driftText(one)]),
    ...factsRows(found),
    ...quotaRows(found),
    ...(found.clock === '' ? [] : [['Clock', found.clock] as [string, string]]),
    ...(dataDir === undefined ? [] : reloadRows(loadRestart(dataDir))),
    ...(found.trouble === '' ? [] : [['Trouble', found.trouble] as [string, string]]),
  ];
  io.stdout.write(formatPairs(rows));
  return 0;
}

/** Undefined from an auth server of a release before rotation. */
async function rotationsOf(auth: AuthClient): Promise<readonly AuthorityRotation[] | undefined> {
  try {
    return (await auth.call(readRotations, {})).rotations;
  } catch (e) {
    if (!isCoded(e, 'not_found')) throw e;
    return undefined;
  }
}

function authorityRowsOf(
  { userAuthority, hostAuthority }: Status,
  rotations: readonly AuthorityRotation[] | undefined,
  withSchedule: boolean,
): [string, string][] {
  return rotations === undefined
    ? [
        ['User CA', userAuthority],
        ['Host CA', hostAuthority],
      ]
    : rotations.flatMap((rotation) => authorityRows(rotation, withSchedule));
}

/** A failed reload of the daemon on this machine, as long as none has succeeded since. */
function reloadRows(last: RestartRecord | undefined): [string, string][] {
  if (last?.status !== 'failed') return [];
  const lines = last.lastLines.map((line): [string, string] => ['', line]);
  return [['Last reload', `failed at ${last.at}: ${last.reason}`], ...lines];
}

type Status = OutputOf<typeof readClusterStatus>;

/** While the host authority is rotated there are two: this states which of them may be written down. */
function pinText(pin: string, { caPins, lastingCaPin }: Status): string {
  if (lastingCaPin === '') return pin;
  const active = pin === caPins[0] ? ['signs now'] : [];
  const lasts = pin === lastingCaPin ? ['stays valid after the rotation'] : ['until the rotation ends'];
  return `${pin} (${[...active, ...lasts].join(', ')})`;
}

function storeRows({ store, outlook }: Status): [string, string][] {
  if (store === undefined) return [];
  const figures = Object.entries(store.figures).map(([name, value]) => `${name}=${value}`);
  return [
    ['Store', `${store.type} ${store.place}`],
    // Where it is not known, `tctl log info` says why.
    ...(outlook?.status === 'lasts' ? [['Store room', outlookText(outlook)] as [string, string]] : []),
    ...(figures.length > 0 ? [['Store figures', figures.join(' ')] as [string, string]] : []),
  ];
}

/** Most recent first; of many only this number, with how many there are. */
const shownOverQuota = 10;

function quotaRows({ overQuota }: Status): [string, string][] {
  const rows = overQuota
    .toSorted((a, b) => (a.at < b.at ? 1 : -1))
    .map((one): [string, string] => [
      'Over quota',
      `${one.who}: ${one.quota}, at ${one.at}${one.refused > 0 ? `, ${one.refused} times since it was reported` : ''}`,
    ]);
  const more = rows.length - shownOverQuota;
  return [
    ...rows.slice(0, shownOverQuota),
    ...(more > 0 ? [['', `and ${more} more`] as [string, string]] : []),
  ];
}

/** Facts for the newest release only are not written while some host cannot read them. */
function factsRows({ factsRead }: Status): [string, string][] {
  if (factsRead === undefined) return [];
  const { level, own, hosts, count } = factsRead;
  if (level >= own) return [['Facts', `level ${level}, read by all hosts`]];
  const more = count > hosts.length ? ` and ${count - hosts.length} more` : '';
  return [
    ['Facts', `level ${level} is all that ${hosts.join(', ')}${more} can read, this auth server ${own}`],
  ];
}

/** A key about which the configuration files of the auth servers differ. */
const driftText = ({ key, standing, others }: Status['drift'][number]): string =>
  `${key}: "${standing}" stands; ${others.map(({ nodename, value }) => `${nodename} says "${value}"`).join(', ')}`;
