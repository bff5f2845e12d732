import { CodedError } from '../base/errors.ts';
import { rotationIsCritical } from './critical-names.ts';

/**
 * From which level on a release reads what: a row for each name that is added to `understood`, and for each
 * kind of fact that must not be written, or is without effect, before all hosts read it. Hosts that announce
 * no level are of a release before the first.
 */
export const levels = {
  criticalFacts: 1,
  locks: 2,
  rotation: 2,
  /** `email.local` and `regexp.replace` in logins that a role denies: a release before withholds the role. */
  deniedLoginFunctions: 3,
  /** Other clusters: an older auth server does not pass on to hosts that one is disabled. */
  trustedClusters: 4,
  /** Logins recorded apart from users: an older auth server refuses those users (`user.attempts_apart`). */
  attemptsApart: 5,
} as const satisfies Readonly<Record<string, number>>;

/** How much of the facts this release reads. Hosts announce it: auth knows what the oldest of them reads. */
export const factsLevel = Math.max(...Object.values(levels));

/** Whether a host that announced this level reads facts of a kind. */
export const reads = (announced: number | undefined, kind: keyof typeof levels): boolean =>
  (announced ?? 0) >= levels[kind];

/** The names that this release can handle. */
const understood: ReadonlySet<string> = new Set([rotationIsCritical]);

/** Reported in place of a name when `critical` is not a list of names. */
const notAList = '(not a list of names)';

/**
 * The names in `data.critical` that this release does not know. This works as with the critical options of an
 * SSH certificate: a reader that does not know one must not act as if the fact were absent, nor on the part
 * of it that it knows. A value that is not a list of names is not understood either.
 */
export function unknownCritical(data: object): readonly string[] {
  if (!Object.hasOwn(data, 'critical')) return [];
  const { critical } = data as { readonly critical: unknown };
  if (!Array.isArray(critical) || !critical.every((name) => typeof name === 'string')) return [notAList];
  return critical.filter((name) => !understood.has(name));
}

/** @throws CodedError `unavailable` for a fact that this release must not decide without understanding. */
export function checkCritical({ type, data }: { readonly type: string; readonly data: object }): void {
  const unknown = unknownCritical(data);
  if (unknown.length > 0)
    throw new CodedError(
      'unavailable',
      `${type} has what a release must know and this one does not: ${unknown.join(', ')}`,
    );
}
