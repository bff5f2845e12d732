import type { readLogInfo } from '../../../api/operations/log.ts';
import type { OutputOf } from '../../../api/operation.ts';
import { hour, minute } from '../../../base/duration.ts';
import { formatGoDuration } from '../../../base/go-duration.ts';
import { formatPairs, formatTable } from '../../table.ts';
import { sizeText } from './log-figures.ts';
import { outlookText } from './outlook-text.ts';

/** What was found, and where it came from. */
export interface FoundLog extends Omit<OutputOf<typeof readLogInfo>, 'hostId'> {
  /**
   * `auth`: includes what only a running auth server knows: queues, lags, witnesses; `store`: read by this
   * command.
   */
  readonly source: { readonly kind: 'auth'; readonly hostId: string } | StoreSource;
}

interface StoreSource {
  readonly kind: 'store';
  /** Why it did not come from an auth server. */
  readonly reason: string;
}

/** As tables. */
export function logInfoText(found: FoundLog): string {
  return [
    formatPairs([...storeRows(found), ...archiveRows(found), ...keyRows(found), ...witnessRows(found)]),
    partitionTable(found),
    growthTable(found),
    ...(found.source.kind === 'auth' ? [writingTable(found)] : []),
    signedTable(found),
    ...(found.partitions.some(({ snapshots }) => snapshots.length > 0) ? [snapshotTable(found)] : []),
  ].join('\n');
}

type Row = [string, string];
type PartitionRow = FoundLog['partitions'][number];

function storeRows({ source, store, trouble, partitions, outlook }: FoundLog): Row[] {
  const said =
    source.kind === 'auth'
      ? `auth server ${source.hostId}`
      : `the store itself, without queues, lags and witnesses: ${source.reason}`;
  const figures = Object.entries(store.figures).map(([name, value]) => `${name}=${value}`);
  return [
    ['Source', said],
    ['Store', `${store.type} ${store.place}`],
    ...(figures.length === 0 ? [] : [['Figures', figures.join(' ')] satisfies Row]),
    ['Room', outlookText(outlook)],
    ['Trouble', trouble === '' ? 'none' : trouble],
    ...partitions.flatMap(({ partition, wentBack }): Row[] =>
      wentBack === undefined ? [] : [['Went back', `${partition}: ${wentBack}`]],
    ),
  ];
}

/** Nothing where the audit is kept in the store, or the auth server is of a release without archives. */
function archiveRows({ archive }: FoundLog): Row[] {
  if (archive === undefined) return [];
  const { keptMs, retentionMs, found, trouble } = archive;
  const times = `audit older than ${formatGoDuration(keptMs)} is moved there${
    retentionMs === undefined ? '' : `, and deleted after ${formatGoDuration(retentionMs)}`
  }`;
  const rows: Row[] = [];
  if (found !== undefined) {
    const { place, segments, bytes, firstSlot, lastSlot, from = '-', until = '-', deletedUntil } = found;
    const holds =
      segments === 0
        ? 'nothing yet'
        : `slots ${firstSlot}-${lastSlot}, from ${from} to ${until}, in ${segments} segments of ${sizeText(bytes)}`;
    const gone = deletedUntil === undefined ? '' : `; what happened until ${deletedUntil} was deleted`;
    rows.push(['Audit archive', `${place}: ${holds}${gone}; ${times}`]);
  }
  if (trouble !== undefined) rows.push(['Archive trouble', trouble]);
  return rows;
}

const keyRows = ({ keys }: FoundLog): Row[] =>
  keys.length === 0
    ? [['Log key', 'none yet']]
    : keys.map(({ keyId, publicKey }) => ['Log key', `${publicKey} (${keyId})`]);

function witnessRows({ witnesses, source }: FoundLog): Row[] {
  if (source.kind === 'store') return [];
  if (witnesses.length === 0) return [['Witness', 'none: set storage.witness']];
  return witnesses.map(({ target, sent, waiting, dropped, lastSentAt, failing }) => {
    const parts = [`${sent} sent${lastSentAt === undefined ? '' : `, the last at ${lastSentAt}`}`];
    if (waiting > 0) parts.push(`${waiting} wait`);
    if (dropped > 0) parts.push(`${dropped} given up for newer ones`);
    if (failing) parts.push(`fails since ${failing.since}: ${failing.reason}`);
    return ['Witness', `${target}: ${parts.join('; ')}`];
  });
}

const tableOf = (
  { partitions }: FoundLog,
  titles: readonly string[],
  cells: (one: PartitionRow) => readonly (string | number)[],
): string =>
  formatTable(
    ['Partition', ...titles],
    partitions.map((one) => [one.partition, ...cells(one).map(String)]),
  );

const partitionTable = (found: FoundLog): string =>
  tableOf(
    found,
    ['Slots', 'MACs from', 'Events to', 'Streams', 'Since snapshot', 'Compacted', 'By'],
    (one) => [
      one.slot === 0 ? '-' : `${one.firstSlot}-${one.slot}`,
      one.authenticFrom ?? '-',
      one.position,
      one.streams,
      one.eventsSinceSnapshot,
      one.lastCompaction?.at ?? '-',
      one.lastCompaction?.by ?? '-',
    ],
  );

const growthTable = (found: FoundLog): string =>
  tableOf(found, ['Grows a day', 'Events a day', 'Measured over'], ({ growth, firstSlot }) => {
    if (growth === undefined) return ['not known', 'not known', '-'];
    const ms = Math.max(1, Date.parse(growth.until) - Date.parse(growth.from));
    const day = (amount: number): number => Math.round((amount * 24 * hour) / ms);
    return [
      `${growth.measured === 'sampled' ? 'about ' : ''}${sizeText(day(growth.bytes))}${firstSlot > 1 ? ', and is trimmed' : ''}`,
      day(growth.events),
      ms >= 2 * hour ? `the last ${Math.round(ms / hour)} h` : `the last ${Math.round(ms / minute)} min`,
    ];
  });

const writingTable = (found: FoundLog): string =>
  tableOf(
    found,
    ['Followers', 'Lag', 'Waiting', 'Bytes', 'Appends', 'Conflicts', 'Lost answers', 'Slowest'],
    (one) => [
      one.followers,
      one.lag,
      one.waitingAppends,
      one.waitingBytes,
      one.appends,
      one.conflicts,
      one.ambiguous,
      `${one.slowestCommitMs.toFixed(1)} ms`,
    ],
  );

const signedTable = (found: FoundLog): string =>
  tableOf(found, ['Signed slot', 'Events to', 'At', 'Key', 'Unsigned'], ({ signedHead: head, unsigned }) => [
    head?.slot ?? '-',
    head?.position ?? '-',
    head?.at ?? '-',
    head?.keyId ?? '-',
    unsigned,
  ]);

const snapshotTable = ({ partitions }: FoundLog): string =>
  formatTable(
    ['Snapshot', 'Slot', 'Events to', 'Taken', 'Size', 'State'],
    partitions.flatMap(({ partition, snapshots }) =>
      snapshots.map((one) => [
        partition,
        String(one.slot),
        String(one.position ?? '-'),
        one.takenAt ?? '-',
        sizeText(one.bytes),
        one.fault ?? 'good',
      ]),
    ),
  );
