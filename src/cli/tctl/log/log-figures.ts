import type { CopiedPartition } from '../../../log/copy-slots.ts';

type Counted = Pick<CopiedPartition, 'partition' | 'firstSlot' | 'lastSlot' | 'events' | 'bytes' | 'head'>;

/** One line per partition: its content, and the head of its chain. */
export const partitionLines = (partitions: readonly Counted[]): string[] =>
  partitions.map(
    ({ partition, firstSlot, lastSlot, events, bytes, head }) =>
      `${partition.padEnd(8)} slots ${firstSlot} to ${lastSlot}, ${events} events, ${sizeText(bytes)}, head ${head}`,
  );

/** The totals, and the speed. */
export function figures(partitions: readonly Counted[], ms: number): string {
  const sum = (of: 'events' | 'bytes'): number => partitions.reduce((all, one) => all + one[of], 0);
  const seconds = Math.max(ms, 1) / 1000;
  return `${sum('events')} events, ${sizeText(sum('bytes'))} in ${seconds.toFixed(1)} s (${Math.round(sum('events') / seconds)} events/s)`;
}

/** `412 B`, `1.5 KB`, `3.2 MB`, `1.0 GB`. */
export function sizeText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(1)} KB`;
  if (bytes < 1024 ** 3) return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
  return `${(bytes / 1024 ** 3).toFixed(1)} GB`;
}
