import type { Evidence } from './checker.ts';
import { type Answer, type Operation, writesOf } from './history.ts';

/** A token that admits one machine admits one. */
export function checkTokens({ operations, final, excused, restores }: Evidence): string[] {
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
      if (restores.some((one) => refused.invoked < one.ended && refused.ended > one.began)) continue;
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
  { operations, excused, restores }: Evidence,
  { worker, invoked, ended }: Operation,
  secret: string,
  { stored, deleted, opened }: NonNullable<Answer['secret']>,
): string[] {
  const ofIt = operations.filter(({ asked }) => 'secret' in asked && asked.secret === secret);
  const kindOf = (one: Operation): string => one.asked.kind;
  // While a store that went back is not recovered, others may not know what this one knew.
  const during = restores.some((one) => invoked < one.ended && ended > one.began);
  const told = ofIt.filter((one) => one.outcome === 'ok' && one.ended < invoked);
  const isWritten = (kind: string): boolean =>
    told.some(
      (one) =>
        kindOf(one) === kind &&
        !(during && one.worker !== worker) &&
        writesOf(one.asked).every(({ stream, value }) => !excused(stream, value)),
    );
  // The vault goes back with the store: what went from it, or came into it since the snapshot.
  const isErased = told.some(
    (one) => kindOf(one) === 'erase' && !restores.some(({ began }) => began > one.invoked && began < ended),
  );
  const seal = ofIt.find((one) => kindOf(one) === 'seal');
  const keyWentBack = restores.some(
    (one) => seal && seal.ended > one.savedAt && seal.invoked < one.ended && ended > one.began,
  );
  const erasing = ofIt.some((one) => kindOf(one) === 'erase' && one.invoked < ended);
  const found: string[] = [];
  if (isWritten('seal') && !stored) found.push(`does not know ${secret}, which was stored`);
  if (isWritten('delete') && !deleted) found.push(`calls ${secret} live, which was deleted`);
  if (opened !== undefined) {
    if (isErased) found.push(`opened ${secret}, whose key was destroyed`);
    if (seal?.asked.kind === 'seal' && opened !== seal.asked.value)
      found.push(`opened ${secret} as ${opened}`);
  } else if (stored && !erasing && !keyWentBack) found.push(`cannot open ${secret}, which nobody deleted`);
  return found;
}

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
    const gap = events.findIndex(([position], i) => i > 0 && position !== (events[i - 1]?.[0] ?? 0) + 1);
    if (gap !== -1)
      found.push(
        `a follower of ${worker} was told ${events[gap]?.[0] ?? 0} after ${events[gap - 1]?.[0] ?? 0}`,
      );
    if (began < since) continue;
    const wrong = events.find(([position, id]) => stored[position - 1]?.id !== id);
    if (wrong)
      found.push(`a follower of ${worker} was told ${wrong[1]} at ${wrong[0]}, where something else is`);
  }
  return found;
}
