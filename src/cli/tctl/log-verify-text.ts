import type { PartitionReport } from '../../log/verify.ts';
import type { Witnessed } from '../../process/witness-read.ts';

/** What one partition holds, and what of it is signed. */
export function partitionText({ partition, firstSlot, lastSlot, events, heads }: PartitionReport): string {
  const lines = [`${partition.padEnd(8)} slots ${firstSlot} to ${lastSlot}, ${events} events`];
  const { signed, newest, unsigned, agreed, trimmed, younger } = heads;
  if (newest)
    lines.push(
      `signed heads: ${signed}, the newest of slot ${newest.slot} at ${newest.at}; events behind it: ${unsigned}`,
    );
  else if (events > 0) lines.push('signed heads: none');
  const kept: string[] = [];
  if (agreed > 0) kept.push(`${agreed} agree`);
  if (trimmed > 0) kept.push(`${trimmed} speak of what was trimmed since`);
  if (younger > 0) kept.push(`${younger} are younger than the archive`);
  if (kept.length > 0) lines.push(`of the witnessed heads ${kept.join(', ')}`);
  return lines.join(`\n${' '.repeat(9)}`);
}

/** What a witness has kept. */
export function witnessText({ place, heads, notices, unreadable }: Witnessed): string {
  const newest = heads.reduce((at, { head }) => (head.at > at ? head.at : at), '');
  const until = newest === '' ? '' : `, the newest of ${newest}`;
  const torn = unreadable.length === 0 ? '' : `; lines that hold none: ${unreadable.slice(0, 10).join(', ')}`;
  const told = notices.map(
    ({ at, hostId, reason }) => `\n${' '.repeat(9)}told at ${at} by ${hostId}: ${reason}`,
  );
  return `witness ${place}: ${heads.length} signed heads${until}${torn}${told.join('')}`;
}
