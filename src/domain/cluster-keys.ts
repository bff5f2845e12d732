import { z } from 'zod';
import { authorityKey } from './authority-facts.ts';

/** The public halves of one key of an authority of another cluster. */
export const clusterKey = authorityKey.omit({ activeFrom: true });
export type ClusterKey = z.infer<typeof clusterKey>;

/** The keys of an authority of another cluster, as that cluster stated them. */
export const clusterKeys = z.object({
  keys: z.array(clusterKey).min(1).max(8),
  /** Of the statement: an earlier one is not accepted after it. */
  number: z.number().int().nonnegative(),
});
export type ClusterKeys = z.infer<typeof clusterKeys>;

/** What is known of an authority of another cluster. */
export interface KnownKeys extends ClusterKeys {
  /** Keys that it gave up by a rotation: sessions that began under them may continue. */
  readonly letStay: readonly ClusterKey[];
}

/** This many keys that were given up are remembered. */
const mostLetStay = 8;

export const knownKeys = ({ keys, number }: ClusterKeys): KnownKeys => ({ keys, number, letStay: [] });

/**
 * After other keys were accepted. `announced`: the keys before have vouched for them, as in a rotation, and
 * sessions stay; otherwise an operator has trusted the cluster again, and nothing under the keys before
 * stays.
 */
export function keysAfter(
  before: KnownKeys,
  { keys, number }: ClusterKeys,
  how: 'announced' | 'exchanged',
): KnownKeys {
  if (how === 'exchanged') return knownKeys({ keys, number });
  const isKept = (key: ClusterKey): boolean => keys.some((one) => isSameKey(one, key));
  const letStay = [...before.letStay, ...before.keys].filter((key) => !isKept(key));
  return { keys, number, letStay: letStay.slice(-mostLetStay) };
}

export const isSameKey = (a: ClusterKey, b: ClusterKey): boolean =>
  a.sshPublicKey === b.sshPublicKey && a.tlsCertificatePem === b.tlsCertificatePem;

/** In whatever order. */
export const areSameKeys = (a: readonly ClusterKey[], b: readonly ClusterKey[]): boolean =>
  a.length === b.length && a.every((key) => b.some((one) => isSameKey(one, key)));
