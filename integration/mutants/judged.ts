import type { Mutant } from './plant.ts';

/**
 * A change that no test needs to notice, and why. It is found by its text, so that it stays judged when lines
 * move.
 */
export interface Judged {
  readonly path: string;
  readonly from: string;
  readonly kind: string;
  readonly why: string;
}

/** Changes that survived once, and are either the same program or do nobody harm. */
export const judged: readonly Judged[] = [
  {
    path: 'src/log/stream-reader.ts',
    from: 'from === -1',
    kind: 'guard left out',
    why: 'the same: reading from the last entry finds the gap, and ends with the same error',
  },
  {
    path: 'src/ssh/poly1305.ts',
    from: 'j < LIMBS',
    kind: 'comparison changed',
    why: 'the same: there is no limb behind the last, and what is not there is added as 0',
  },
  {
    path: 'src/node/command-labels.ts',
    from: 'Math.max(1, periodSeconds)',
    kind: 'arguments swapped',
    why: 'the same: the greater of two is the same in either order',
  },
  {
    path: 'src/node/served-connection.ts',
    from: 'disconnectExpiredCert && validBefore < BigInt(Number.MAX_SAFE_INTEGER) / 1000n',
    kind: 'right of && left out',
    why: 'the same: a timer for the end of time does not come',
  },
];

export const judgementOf = ({ path, from, kind }: Mutant): Judged | undefined =>
  judged.find((one) => one.path === path && one.kind === kind && one.from === from);
