/** How a service does what it is there for. */
export type Condition = Serves | NotServing;

/** Whoever comes is served. */
export type Serves =
  /** `notices`: what somebody should look at, though nothing lacks. */
  | { readonly status: 'serving'; readonly notices: readonly string[] }
  /** With less than all: `lacks` says what cannot be done now, and why. */
  | { readonly status: 'degraded'; readonly lacks: readonly string[]; readonly notices: readonly string[] };

/** Whoever comes is refused: a balancer shall send them elsewhere. */
export interface NotServing {
  readonly status: 'not serving';
  readonly reason: string;
}

/** What was found, in the order in which it is reported; undefined: nothing of the kind. */
export interface Findings {
  /** Why whoever comes is refused; the first counts. */
  readonly refusals?: readonly (string | undefined)[];
  readonly lacks?: readonly (string | undefined)[];
  readonly notices?: readonly (string | undefined)[];
}

export function conditionOf({ refusals = [], lacks = [], notices = [] }: Findings): Condition {
  const reason = refusals.find(isText);
  if (reason !== undefined) return { status: 'not serving', reason };
  const [lacking, told] = [lacks.filter(isText), notices.filter(isText)];
  return lacking.length === 0
    ? { status: 'serving', notices: told }
    : { status: 'degraded', lacks: lacking, notices: told };
}

const isText = (text: string | undefined): text is string => text !== undefined;
