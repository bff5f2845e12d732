/** Whether and how well a service serves. */
export type Condition = Serves | NotServing;

/** Every caller is served. */
export type Serves =
  /** `notices`: what somebody should look at, although nothing is missing. */
  | { readonly status: 'serving'; readonly notices: readonly string[] }
  /** With something missing: `lacks` has what cannot be done now, and why. */
  | { readonly status: 'degraded'; readonly lacks: readonly string[]; readonly notices: readonly string[] };

/** Every caller is refused: a balancer should send them elsewhere. */
export interface NotServing {
  readonly status: 'not serving';
  readonly reason: string;
}

/** The findings, in the order in which they are reported; undefined: none of the kind. */
export interface Findings {
  /** Why callers are refused; the first counts. */
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
