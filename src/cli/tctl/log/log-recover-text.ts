import type { OutputOf } from '../../../api/operation.ts';
import type { readRecovery, recoverLog } from '../../../api/operations/log.ts';

type Report = OutputOf<typeof readRecovery>['partitions'][number];
type Recovered = OutputOf<typeof recoverLog>['partitions'][number];
type Missing = Report['held'][number];

const eventLine = ({ position, stream, type, at }: Missing): string =>
  `  ${position}  ${at}  ${type}  ${stream}`;

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

const listed = (events: readonly Missing[]): string[] => events.map(eventLine);

/** What `tctl log recover` shows before anything is done. */
export function reportText(
  { who, offline }: { readonly who: string; readonly offline: boolean },
  partitions: readonly Report[],
): string {
  const lines = [`Reported by ${who}`];
  for (const one of partitions) lines.push('', ...reportLines(one));
  if (partitions.some(({ status }) => status === 'went back'))
    lines.push('', ...(offline ? offlineSteps : steps));
  return `${lines.join('\n')}\n`;
}

const steps = [
  'tctl log recover --give-back   gives the store what is listed here, where nothing conflicts with it',
  'tctl log recover --go-on       goes on from what the store has; what is listed is lost',
  'Ask each auth server that runs (--auth-server=host:port). The one that knows most comes first.',
];
const offlineSteps = [
  'Where an auth server still runs, ask it first: it may give the store back what is missing here.',
  'tctl log recover --offline --go-on   goes on from what the store has; what is missing is lost',
];

const noMacs =
  'WHAT IT HOLDS NOW HAS NO MACS, and those of this log had them: put back a backup of your own before you go on, ' +
  'since whoever may write to the store may have written this, administrators included';

function reportLines(report: Report): string[] {
  const { partition, status, known, head, common, held, forgotten, withoutMacs } = report;
  if (status === 'whole') return [`${partition}: the store holds all that is known, up to slot ${head}`];
  return [
    `${partition}: THE STORE WENT BACK. It holds slots up to ${head}; slot ${known} was seen in it before`,
    common === undefined
      ? '  the last slot that both hold is not known any more'
      : `  both hold the same up to slot ${common}${head > common ? `; others have written ${head - common} slots since` : ''}`,
    ...(withoutMacs ? [`  ${noMacs}`] : []),
    ...(forgotten > 0 ? [`  what was in ${counted(forgotten, 'slot')} is not held here`] : []),
    ...(held.length > 0 ? [`  ${counted(held.length, 'event')} can be given back:`] : []),
    ...listed(held),
  ];
}

/** What was done. */
export function recoveredText(who: string, partitions: readonly Recovered[]): string {
  const lines = [`Done by ${who}`];
  for (const one of partitions) lines.push('', ...recoveredLines(one));
  lines.push('', 'Check: tctl log verify; tctl log tail --stream=recovery-state');
  return `${lines.join('\n')}\n`;
}

function recoveredLines({ partition, status, givenBack, lost, forgotten }: Recovered): string[] {
  if (status === 'was whole') return [`${partition}: nothing was missing`];
  return [
    `${partition}: ${status === 'went on' ? 'goes on from what the store has' : `given back: ${counted(givenBack.length, 'event')}`}`,
    ...(forgotten > 0
      ? [`  lost, with nobody here to know what they held: ${counted(forgotten, 'slot')}`]
      : []),
    ...(lost.length > 0
      ? [`  lost: ${counted(lost.length, 'event')}; do again what still counts:`, ...listed(lost)]
      : []),
  ];
}
