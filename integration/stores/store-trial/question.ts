import type { Asked, Stored } from './history.ts';

/** What the trial itself asks a process, besides what its clients do. */
export type OfTrial =
  | { readonly kind: 'clock'; readonly hours: number }
  /** The newest position that it has folded, without a look at the store. */
  | { readonly kind: 'known' }
  | { readonly kind: 'head' }
  | { readonly kind: 'recover' }
  | { readonly kind: 'everything'; readonly beats: readonly string[] };

export type Question = Asked | OfTrial;

export const isOfTrial = (question: Question): question is OfTrial =>
  ['clock', 'known', 'head', 'recover', 'everything'].includes(question.kind);

export interface Everything {
  readonly stored: readonly Stored[];
  readonly beats: Readonly<Record<string, number>>;
}
