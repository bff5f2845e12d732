import { emptyRecord } from '../base/foreign-record.ts';
import type { HostInfo } from './host-info.ts';

/*
 * Labels whose values programs print. Which labels a host has is membership: somebody set them. The printed
 * values are measured and may change at any time, so they belong to presence, which is trimmed. Membership
 * also has the values from its last change, for readers that know no others.
 */

export type Labels = Readonly<Record<string, string>>;

/** The values that presence has of this host; undefined for one without such labels. */
export function measuredLabels({ labels, measured = [] }: HostInfo): Labels | undefined {
  const names = measured.filter((name) => Object.hasOwn(labels, name));
  return names.length === 0 ? undefined : pick(labels, names);
}

/** The labels that somebody set. */
export const setLabels = ({ labels, measured = [] }: Pick<HostInfo, 'labels' | 'measured'>): Labels =>
  measured.length === 0
    ? labels
    : pick(
        labels,
        Object.keys(labels).filter((name) => !measured.includes(name)),
      );

/**
 * The labels of a host now. `told` are the values in presence; a label that is not measured any more is not
 * taken from there.
 */
export function labelsNow({ labels, measured = [] }: HostInfo, told: Labels | undefined): Labels {
  const names = told === undefined ? [] : measured.filter((name) => Object.hasOwn(told, name));
  if (told === undefined || names.length === 0) return labels;
  return Object.assign(pick(labels, Object.keys(labels)), pick(told, names));
}

function pick(labels: Labels, names: readonly string[]): Record<string, string> {
  const picked = emptyRecord<string>();
  for (const name of names) picked[name] = labels[name] ?? '';
  return picked;
}
