import type { Instant } from '../base/time.ts';
import { type LoginAttemptFact, loginAttempts, type LoginAttempts } from '../domain/login-attempts.ts';
import { idInStream, userStream } from '../domain/streams.ts';
import type { Recorded, Revision, StreamName } from '../log/event.ts';
import type { FoldedStream } from '../log/fold-cache.ts';
import type { AnyDecider, StartingPoint } from '../log/starting-points.ts';
import { emptyTable, entriesOf, getIn, setIn, type Table, tableFrom } from './table.ts';
import type { Projection, View } from './view.ts';

export interface AttemptsEntry {
  readonly attempts: LoginAttempts;
  readonly revision: Revision;
  /** For people: by the log's own time. Null: no login was recorded here. */
  readonly lastLoginAt: Instant | null;
  /** `unreadable`: a newer release recorded what this one does not know, and must not decide by. */
  readonly status: 'known' | 'unreadable';
}

/** By user name. */
export type AttemptsState = Table<AttemptsEntry>;

const first: AttemptsEntry = { attempts: null, revision: 0, lastLoginAt: null, status: 'known' };

/**
 * What the attempts of each user have led to. The partition is trimmed, so that nothing else knows it: a
 * release that raises the name must read what the one before stored (`earlier`).
 */
export const attemptsView: Projection<AttemptsState> = {
  name: 'attempts.1',
  initial: emptyTable,
  apply(state, event) {
    const username = idInStream(event.stream, 'user');
    if (username === undefined) return state;
    return setIn(state, username, entryAfter(getIn(state, username) ?? first, event));
  },
  encode: entriesOf,
  decode: (stored) => tableFrom(stored as Parameters<typeof tableFrom<AttemptsEntry>>[0]),
};

function entryAfter(before: AttemptsEntry, { fact: stored, revision, cause }: Recorded): AttemptsEntry {
  let fact: LoginAttemptFact;
  try {
    fact = loginAttempts.fact.parse(stored);
  } catch {
    return { ...before, revision, status: 'unreadable' };
  }
  return {
    attempts: loginAttempts.evolve(before.attempts, fact),
    revision,
    lastLoginAt: fact.type === 'user.logged_in' ? cause.at : before.lastLoginAt,
    status: before.status,
  };
}

/** What is known of a user's attempts; undefined where there were none. */
export const attemptsIn = (state: AttemptsState, username: string): AttemptsEntry | undefined =>
  getIn(state, username);

/** Where decisions about attempts begin; nowhere while the view has stopped, or cannot read a user's. */
export function attemptsStart(view: Pick<View<AttemptsState>, 'state' | 'failure'>): StartingPoint {
  return <S>(decider: AnyDecider<S>, stream: StreamName): FoldedStream<S> | undefined => {
    const known: unknown = loginAttempts;
    if (decider !== known || view.failure() !== undefined) return undefined;
    const username = idInStream(stream, 'user');
    const entry = username === undefined ? undefined : getIn(view.state(), username);
    if (entry?.status !== 'known' || stream !== userStream(username ?? '')) return undefined;
    return { state: entry.attempts as S, revision: entry.revision };
  };
}
