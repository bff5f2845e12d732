import type { PartitionReport } from '../../../log/verify.ts';
import type { Witnessed } from '../../../process/witness/witness-read.ts';

/** How MACs were checked. */
export type MacsLookedAt =
  /** `storeHoldsKeys`: then the owner of the store can make MACs as well. */
  | { readonly status: 'checked'; readonly storeHoldsKeys: boolean }
  | { readonly status: 'not checked'; readonly reason: string }
  | { readonly status: 'no key' };

function macText(from: number | undefined, firstSlot: number, macs: MacsLookedAt): string {
  if (from === undefined)
    return 'MACs: none yet: whoever can write to the store can add to it (an older release began it, and may still run)';
  const whole =
    from <= firstSlot ? 'of every batch' : `from slot ${from} on; that one vouches for those before it`;
  return macs.status === 'checked' ? `MACs: good, ${whole}` : `MACs: not checked, ${whole}`;
}

/** Once for all partitions: what the MACs prove, and what they do not. */
export function macNotes(macs: MacsLookedAt, found: readonly PartitionReport[]): string[] {
  if (found.every((one) => one.authenticFrom === undefined)) return [];
  switch (macs.status) {
    case 'checked':
      return macs.storeHoldsKeys
        ? [
            'the keys of the MACs are in the store itself, so that they prove nothing against its owner: set storage.key_file or storage.kms_key_id, then tctl log rekey',
          ]
        : [];
    case 'not checked':
      return [`MACs were not checked: ${macs.reason}`];
    case 'no key':
      return [
        'MACs were not checked: the key for them is not here (an archive has it with --with-secrets only)',
      ];
  }
}

/** The content of one partition, and how much of it is signed. */
export function partitionText(report: PartitionReport, macs: MacsLookedAt): string {
  const { partition, firstSlot, lastSlot, events, heads, authenticFrom, archived, deletedUpTo } = report;
  const lines = [`${partition.padEnd(8)} slots ${firstSlot} to ${lastSlot}, ${events} events`];
  if (deletedUpTo !== undefined)
    lines.push(
      `slots 1 to ${deletedUpTo} were deleted from the archive when their time was over, as the log says`,
    );
  if (archived)
    lines.push(
      `slots ${archived.firstSlot} to ${archived.lastSlot} are in the archive ${archived.place} by what the log says: not looked at (--archive)`,
    );
  if (lastSlot > 0) lines.push(macText(authenticFrom, firstSlot, macs));
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

/** The lines that a witness has kept. */
export function witnessText({ place, heads, notices, unreadable }: Witnessed): string {
  const newest = heads.reduce((at, { head }) => (head.at > at ? head.at : at), '');
  const until = newest === '' ? '' : `, the newest of ${newest}`;
  const torn = unreadable.length === 0 ? '' : `; lines that hold none: ${unreadable.slice(0, 10).join(', ')}`;
  const told = notices.map(
    ({ at, hostId, reason }) => `\n${' '.repeat(9)}reported at ${at} by ${hostId}: ${reason}`,
  );
  return `witness ${place}: ${heads.length} signed heads${until}${torn}${told.join('')}`;
}
