import type { OutputOf } from '../../api/operation.ts';
import type { readRecovery, recoverLog } from '../../api/recover-log.ts';

type Report = OutputOf<typeof readRecovery>['partitions'][number];
type Recovered = OutputOf<typeof recoverLog>['partitions'][number];
type Missing = Report['held'][number];

const eventLine = ({ position, stream, type, at }: Missing): string =>
  `  ${position}  ${at}  ${type}  ${stream}`;

const listed = (events: readonly Missing[]): string[] => events.map(eventLine);

/** What `tctl log recover` shows before anything is done. */
export function reportText(who: string, partitions: readonly Report[]): string {
  const lines = [`Said by ${who}`];
  for (const one of partitions) lines.push('', ...reportLines(one));
  if (partitions.some(({ status }) => status === 'went back'))
    lines.push(
      '',
      'tctl log recover --give-back   gives the store what is listed here, as far as nothing stands against it',
      'tctl log recover --go-on       goes on from what the store has; what is listed is lost',
      'Each auth server that says so has to be asked: the one that knows most first.',
    );
  return `${lines.join('\n')}\n`;
}

function reportLines({ partition, status, known, head, common, held, forgotten }: Report): string[] {
  if (status === 'whole') return [`${partition}: the store holds all that is known, up to slot ${head}`];
  return [
    `${partition}: THE STORE WENT BACK. It holds slots up to ${head}; slot ${known} was seen in it before`,
    common === undefined
      ? '  the last slot that both hold is not known any more'
      : `  both hold the same up to slot ${common}${head > common ? `; others have written ${head - common} slots since` : ''}`,
    `  ${held.length} events can be given back${forgotten > 0 ? `, ${forgotten} slots are held nowhere on this server` : ''}:`,
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
    `${partition}: ${status === 'went on' ? 'goes on from what the store has' : `${givenBack.length} events were given back`}`,
    ...(forgotten > 0 ? [`  ${forgotten} slots are lost, and nobody here knows what they held`] : []),
    ...(lost.length > 0
      ? [`  ${lost.length} events are lost; do again what still counts:`, ...listed(lost)]
      : []),
  ];
}
