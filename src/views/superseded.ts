import { type LiveSecrets, secretsAfter, secretsStream } from '../domain/superseded-secrets.ts';
import type { Position, Recorded } from '../log/event.ts';
import { emptyTable, entriesOf, getIn, removeIn, setIn, type Table, tableFrom } from './table.ts';
import type { Projection } from './view.ts';

export interface SupersededState {
  /** What counts, by stream: only of streams whose secrets can be superseded. */
  readonly live: Table<readonly LiveSecrets[]>;
  /** Data keys that do not count any more and are not known to be gone from the vault, with what superseded them. */
  readonly doomed: readonly Doomed[];
}

export interface Doomed {
  readonly keyId: string;
  readonly position: Position;
}

/** Which sealed secrets have been superseded and are still to be destroyed. */
export const supersededView: Projection<SupersededState> = {
  name: 'superseded.1',
  initial: { live: emptyTable, doomed: [] },
  apply(state, event) {
    if (event.stream === secretsStream) return withoutDestroyed(state, event);
    const before = getIn(state.live, event.stream) ?? [];
    if (before.length === 0 && event.sealed === undefined) return state;
    const { live, superseded } = secretsAfter(before, event);
    if (live === before) return state;
    const doomed = superseded.map((keyId) => ({ keyId, position: event.position }));
    return {
      live: live.length === 0 ? removeIn(state.live, event.stream) : setIn(state.live, event.stream, live),
      doomed: doomed.length === 0 ? state.doomed : [...state.doomed, ...doomed],
    };
  },
  encode: ({ live, doomed }) => ({ live: entriesOf(live), doomed }),
  decode: (stored) => {
    const { live, doomed } = stored as {
      live: [string, readonly LiveSecrets[]][];
      doomed: readonly Doomed[];
    };
    return { live: tableFrom(live), doomed };
  },
};

function withoutDestroyed(state: SupersededState, { fact }: Recorded): SupersededState {
  const { upTo } = fact.data as { readonly upTo?: unknown };
  if (fact.type !== 'secrets.destroyed' || typeof upTo !== 'number') return state;
  const doomed = state.doomed.filter(({ position }) => position > upTo);
  return doomed.length === state.doomed.length ? state : { ...state, doomed };
}
