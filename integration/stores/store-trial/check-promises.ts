import type { Evidence } from './checker.ts';
import { type Answer, type Operation, writesOf } from './history.ts';

/** A token that admits one machine admits one. */
export function checkTokens({ operations, final, excused, unrecovered }: Evidence): string[] {
  const found: string[] = [];
  const uses = operations.flatMap((one) => (one.asked.kind === 'redeem' ? [{ ...one, ...one.asked }] : []));
  for (const [token, values] of final)
    if (token.startsWith('token-') && values.length > 2)
      found.push(`${token} was used ${values.length - 1} times`);
  for (const token of new Set(uses.map((one) => one.token))) {
    const ofIt = uses.filter((one) => one.token === token);
    const told = ofIt.filter(({ outcome, by }) => outcome === 'ok' && !excused(token, by));
    if (told.length > 1) found.push(`${token} admitted ${told.map(({ by }) => by).join(' and ')}`);
    for (const refused of ofIt) {
      if (refused.code !== 'access_denied' || excused(token, 'created')) continue;
      // Whoever did not know the token yet when the store went back may refuse it.
      if (unrecovered(refused)) continue;
      const other = ofIt.some(
        (one) => one.outcome !== 'failed' && one.by !== refused.by && one.invoked < refused.ended,
      );
      if (!other) found.push(`${token} was refused to ${refused.by} as used, and nobody used it`);
    }
  }
  return found;
}

/** What is deleted stays deleted, what is not can be opened. */
export function checkSecrets(evidence: Evidence): string[] {
  return evidence.operations.flatMap((looked) => {
    const { asked, answer } = looked;
    if (asked.kind !== 'unseal' || answer?.secret === undefined) return [];
    return lookAt(evidence, looked, asked.secret, answer.secret).map((what) => `${looked.worker} ${what}`);
  });
}

function lookAt(
  evidence: Evidence,
  looked: Operation,
  secret: string,
  { stored, deleted, opened }: NonNullable<Answer['secret']>,
): string[] {
  const ofIt = evidence.operations.filter(({ asked }) => 'secret' in asked && asked.secret === secret);
  const isTold = (kind: 'seal' | 'delete'): boolean =>
    ofIt.some((one) => one.asked.kind === kind && mustBeKnown(evidence, one, looked));
  const found: string[] = [];
  if (!stored && isTold('seal')) found.push(`does not know ${secret}, which was stored`);
  if (!deleted && isTold('delete')) found.push(`calls ${secret} live, which was deleted`);
  if (opened === undefined) {
    const isLost = stored && mustOpen(evidence, ofIt, looked);
    return isLost ? [...found, `cannot open ${secret}, which nobody deleted`] : found;
  }
  if (isErased(evidence, ofIt, looked)) found.push(`opened ${secret}, whose key was destroyed`);
  if (ofIt.some(({ asked }) => asked.kind === 'seal' && asked.value !== opened))
    found.push(`opened ${secret} as ${opened}`);
  return found;
}

/** The vault goes back with the store: what went from it comes again. */
const isErased = ({ restores }: Evidence, ofIt: readonly Operation[], looked: Operation): boolean =>
  ofIt.some(
    ({ asked, outcome, invoked, ended }) =>
      asked.kind === 'erase' &&
      outcome === 'ok' &&
      ended < looked.invoked &&
      !restores.some(({ began }) => began > invoked && began < looked.ended),
  );

/** And what came into it since the snapshot is gone. */
const mustOpen = ({ restores }: Evidence, ofIt: readonly Operation[], looked: Operation): boolean =>
  !ofIt.some(({ asked, invoked }) => asked.kind === 'erase' && invoked < looked.ended) &&
  !ofIt.some(
    ({ asked, invoked, ended }) =>
      asked.kind === 'seal' &&
      restores.some((one) => ended > one.savedAt && invoked < one.ended && looked.ended > one.began),
  );

/** Whether what was written before must be known to whoever looks. */
const mustBeKnown = ({ unrecovered, excused }: Evidence, written: Operation, looked: Operation): boolean =>
  written.outcome === 'ok' &&
  written.ended < looked.invoked &&
  !(unrecovered(looked) && written.worker !== looked.worker) &&
  writesOf(written.asked).every(({ stream, value }) => !excused(stream, value));

/** Appends to a partition that is trimmed are not lost and not doubled. */
export function checkBeats({ operations, beats, restores }: Evidence): string[] {
  const found: string[] = [];
  const since = Math.max(-Infinity, ...restores.map(({ ended }) => ended));
  const seen = new Map<string, string>();
  for (const { asked, outcome, answer, worker, invoked } of operations) {
    if (asked.kind !== 'beat' || outcome !== 'ok' || invoked < since) continue;
    const [revision = 0] = answer?.revisions ?? [];
    const place = `${asked.stream} ${revision}`;
    if (revision > (beats[asked.stream] ?? 0))
      found.push(`${place} was acknowledged by ${worker} and is lost`);
    if (seen.has(place))
      found.push(`${place} was acknowledged twice: by ${seen.get(place) ?? ''} and ${worker}`);
    seen.set(place, worker);
  }
  return found;
}

/** A follower is told each event once, in order, and of what the log holds. */
export function checkSessions({ sessions, stored, restores }: Evidence): string[] {
  const found: string[] = [];
  const since = Math.max(-Infinity, ...restores.map(({ ended }) => ended));
  for (const { worker, began, events } of sessions) {
    events.forEach(({ position }, i) => {
      const before = i === 0 ? position - 1 : events[i - 1]?.position;
      if (position - 1 !== before)
        found.push(`a follower of ${worker} was told ${position} after ${before ?? 0}`);
    });
    if (began < since) continue;
    const wrong = events.find(({ position, id }) => stored[position - 1]?.id !== id);
    if (wrong)
      found.push(
        `a follower of ${worker} was told ${wrong.id} at ${wrong.position}, where something else is`,
      );
  }
  return found;
}
