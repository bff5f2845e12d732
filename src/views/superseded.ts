import {
  type LiveSecrets,
  recoveredStream,
  secretsAfter,
  secretsStream,
} from '../domain/superseded-secrets.ts';
import type { Position, Recorded } from '../log/event.ts';
import { emptyTable, entriesOf, getIn, removeIn, setIn, type Table, tableFrom } from './table.ts';
import type { Projection } from './view.ts';

export interface SupersededState {
  /** The secrets in force, by stream: only of streams whose secrets can be superseded. */
  readonly live: Table<readonly LiveSecrets[]>;
  /**
   * Data keys that are not needed any more and are not known to be gone from the vault, with what superseded
   * them.
   */
  readonly doomed: readonly Doomed[];
  /**
   * The store went back, and got back what it had lost. Its vault may again contain keys that had been
   * destroyed, although the log has them as gone.
   */
  readonly anew?: DestroyedAnew | undefined;
}

export interface DestroyedAnew {
  /** Of the newest fact that reports it. */
  readonly position: Position;
  /**
   * The first event that the store had lost; keys destroyed before it stayed destroyed. 1 when it is not
   * known.
   */
  readonly firstLost: Position;
}

export interface Doomed {
  readonly keyId: string;
  readonly position: Position;
}

/** Which sealed secrets have been superseded and are still to be destroyed. */
export const supersededView: Projection<SupersededState> = {
  // Before rotation, this did not include withdrawn keys of authorities: snapshots from then lack them.
  name: 'superseded.2',
  initial: { live: emptyTable, doomed: [] },
  apply(state, event) {
    if (event.stream === secretsStream) return withoutDestroyed(state, event);
    if (event.stream === recoveredStream) return destroyedAnew(state, event);
    const before = getIn(state.live, event.stream) ?? [];
    if (before.length === 0 && event.sealed === undefined) return state;
    const { live, superseded } = secretsAfter(before, event);
    if (live === before) return state;
    const doomed = superseded.map((keyId) => ({ keyId, position: event.position }));
    return {
      live: live.length === 0 ? removeIn(state.live, event.stream) : setIn(state.live, event.stream, live),
      doomed: doomed.length === 0 ? state.doomed : [...state.doomed, ...doomed],
      anew: state.anew,
    };
  },
  encode: ({ live, doomed, anew }) => ({ live: entriesOf(live), doomed, ...(anew && { anew }) }),
  decode: (stored) => {
    const { live, doomed, anew } = stored as {
      live: [string, readonly LiveSecrets[]][];
      doomed: readonly Doomed[];
      anew?: DestroyedAnew;
    };
    return { live: tableFrom(live), doomed, anew };
  },
};

function withoutDestroyed(state: SupersededState, { fact }: Recorded): SupersededState {
  const { upTo } = fact.data as { readonly upTo?: unknown };
  if (fact.type !== 'secrets.destroyed' || typeof upTo !== 'number') return state;
  const doomed = state.doomed.filter(({ position }) => position > upTo);
  const anew = state.anew !== undefined && state.anew.position <= upTo ? undefined : state.anew;
  return doomed.length === state.doomed.length && anew === state.anew ? state : { ...state, doomed, anew };
}

function destroyedAnew(state: SupersededState, { fact, position }: Recorded): SupersededState {
  const { firstLost } = fact.data as { readonly firstLost?: unknown };
  const first = typeof firstLost === 'number' ? firstLost : 1;
  return { ...state, anew: { position, firstLost: Math.min(first, state.anew?.firstLost ?? first) } };
}

/**
 * From a whole log: the keys that were superseded and may have been in the vault when it ended before
 * `firstLost`.
 */
export async function supersededSince(
  history: AsyncIterable<Recorded>,
  firstLost: Position,
): Promise<string[]> {
  let state = supersededView.initial;
  let goneUpTo = 0;
  for await (const event of history) {
    const { stream, fact, position } = event;
    if (stream !== secretsStream) state = supersededView.apply(state, event);
    else if (position < firstLost) {
      const { upTo } = fact.data as { readonly upTo?: unknown };
      if (typeof upTo === 'number') goneUpTo = Math.max(goneUpTo, upTo);
    }
  }
  return state.doomed.filter(({ position }) => position > goneUpTo).map(({ keyId }) => keyId);
}
