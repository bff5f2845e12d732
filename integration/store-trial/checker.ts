import type { History, Operation, Restore, Stored } from './history.ts';
import { writesOf } from './history.ts';
import { checkBeats, checkSecrets, checkSessions, checkTokens } from './check-promises.ts';

/** Somebody was told that a value is stored: it was acknowledged, or read. */
interface Knowledge {
  readonly worker: string;
  readonly at: number;
  readonly revision: number;
}

/** What the checks share: the log at the end, and what of it may be missing. */
export interface Evidence extends History {
  /** Values of each stream at the end, the oldest first. */
  readonly final: ReadonlyMap<string, readonly string[]>;
  /** Whether it may be missing: an earlier state was restored, and nobody who knew it was left, or its place was taken. */
  excused(stream: string, value: string): boolean;
}

/** Every way in which the log broke its word. Pure: the history in, the violations out. */
export function violations(history: History): string[] {
  const evidence = evidenceOf(history);
  return [
    ...history.restores.flatMap(({ silent }) => silent.map((who) => `${who} knew more and did not refuse`)),
    ...checkBugs(history),
    ...checkStored(evidence),
    ...checkAcknowledged(evidence),
    ...checkReads(evidence),
    ...checkOrder(evidence),
    ...checkTokens(evidence),
    ...checkSecrets(evidence),
    ...checkBeats(evidence),
    ...checkSessions(evidence),
  ];
}

const keyOf = (stream: string, value: string): string => `${stream} ${value}`;

function evidenceOf(history: History): Evidence {
  const final = new Map<string, string[]>();
  for (const { stream, value } of history.stored) final.set(stream, [...(final.get(stream) ?? []), value]);
  const known = knowledgeOf(history.operations);
  const written = new Map(
    history.operations.flatMap((one) =>
      writesOf(one.asked).map((w) => [keyOf(w.stream, w.value), one] as const),
    ),
  );
  /** Somebody who did not know it wrote there, or earlier, after the store went back. */
  const displaced = (stream: string, revision: number, { began }: Restore): boolean =>
    (final.get(stream) ?? [])
      .slice(0, revision)
      .some((value) => (written.get(keyOf(stream, value))?.ended ?? -Infinity) > began);
  return {
    ...history,
    final,
    excused: (stream, value) => {
      const knowing = known.get(keyOf(stream, value)) ?? [];
      return history.restores.some((restore) => {
        // What was told later was not lost by this one.
        if (knowing.some(({ at }) => at >= restore.ended)) return false;
        return (
          knowing.every(({ worker }) => !restore.survivors.includes(worker)) ||
          knowing.some(({ revision }) => displaced(stream, revision, restore))
        );
      });
    },
  };
}

function knowledgeOf(operations: readonly Operation[]): Map<string, Knowledge[]> {
  const known = new Map<string, Knowledge[]>();
  const note = (stream: string, value: string, knowledge: Knowledge): void => {
    const key = keyOf(stream, value);
    known.set(key, [...(known.get(key) ?? []), knowledge]);
  };
  for (const { worker, ended: at, asked, outcome, answer } of operations) {
    if (outcome !== 'ok') continue;
    writesOf(asked).forEach(({ stream, value }, i) => {
      note(stream, value, { worker, at, revision: answer?.revisions?.[i] ?? Infinity });
    });
    if (asked.kind === 'read')
      answer?.values?.forEach((value, i) => {
        note(asked.register, value, { worker, at, revision: i + 1 });
      });
  }
  return known;
}

/** An error without a code is a fault of the program, whatever the store did. */
const checkBugs = ({ operations }: History): string[] =>
  operations
    .filter(({ code }) => code === 'bug' || code === 'damaged')
    .map((one) => `${one.worker} answered ${one.asked.kind} with ${one.code ?? ''}: ${one.message ?? ''}`);

/** What is stored was asked for, once, and was not refused. */
function checkStored({ stored, operations }: Evidence): string[] {
  const found: string[] = [];
  const asked = new Map(
    operations.flatMap((one) => writesOf(one.asked).map((w) => [keyOf(w.stream, w.value), one] as const)),
  );
  const seen = new Set<string>();
  const lengths = new Map<string, number>();
  stored.forEach((event, i) => {
    const name = nameOf(event);
    if (event.position !== i + 1) found.push(`${name} is at position ${event.position}, not ${i + 1}`);
    const revision = (lengths.get(event.stream) ?? 0) + 1;
    lengths.set(event.stream, revision);
    if (event.revision !== revision) found.push(`${name} has revision ${event.revision}, not ${revision}`);
    if (!isOurs(event)) return;
    const key = keyOf(event.stream, event.value);
    if (seen.has(key)) found.push(`${name} is stored twice`);
    seen.add(key);
    const origin = asked.get(key);
    if (origin === undefined) found.push(`${name} is stored, and nobody asked for it`);
    else if (origin.outcome === 'failed')
      found.push(`${name} was refused (${origin.code ?? ''}) and is stored all the same`);
  });
  return found;
}

const nameOf = ({ stream, value }: Pick<Stored, 'stream' | 'value'>): string => `${value} in ${stream}`;
/** The log keeps house by streams of its own. */
const isOurs = ({ stream }: Stored): boolean => /^(?:register|token|secret)-/.test(stream);

/** Nothing acknowledged is lost, and what belongs together came together. */
function checkAcknowledged({ operations, final, excused, restores }: Evidence): string[] {
  const found: string[] = [];
  const has = ({ stream, value }: { stream: string; value: string }): boolean =>
    final.get(stream)?.includes(value) ?? false;
  for (const one of operations) {
    const writes = writesOf(one.asked);
    const missing = writes.filter((written) => !has(written));
    if (one.outcome === 'ok')
      for (const { stream, value } of missing)
        if (!excused(stream, value))
          found.push(`${value} in ${stream} was acknowledged by ${one.worker} and is lost`);
    const torn = missing.length > 0 && missing.length < writes.length;
    if (torn && !restores.some(({ ended }) => one.invoked < ended))
      found.push(`${writes[0]?.value ?? ''} was stored in part`);
  }
  return found;
}

/** A read gives the beginning of the register, and all of it that was known to be stored when it was asked for. */
function checkReads(evidence: Evidence): string[] {
  const { operations, final, excused, restores } = evidence;
  const found: string[] = [];
  const known = knowledgeOf(operations);
  for (const { worker, asked, answer, outcome, invoked, ended } of operations) {
    if (asked.kind !== 'read' || outcome !== 'ok') continue;
    const { register } = asked;
    const values = answer?.values ?? [];
    const list = final.get(register) ?? [];
    const lasting = values.filter((value) => list.includes(value) || !excused(register, value));
    const wrong = lasting.findIndex((value, i) => value !== list[i]);
    if (wrong !== -1)
      found.push(
        `${worker} read ${lasting[wrong] ?? ''} at ${wrong + 1} of ${register}, where ${list[wrong] ?? 'nothing'} is`,
      );
    const during = restores.some((one) => invoked < one.ended && ended > one.began);
    const seen = new Set(values);
    for (const value of list) {
      if (seen.has(value)) continue;
      const knowing = known.get(keyOf(register, value)) ?? [];
      // While a store that went back is not recovered, others may not know what this one knew.
      const told = knowing.find(({ at, worker: who }) => at < invoked && (!during || who === worker));
      if (told)
        found.push(`${worker} read ${register} without ${value}, which ${told.worker} had told before`);
    }
  }
  return found;
}

/** Of two values in a register, the one that was acknowledged before the other was asked for comes first. */
function checkOrder({ final, operations }: Evidence): string[] {
  const found: string[] = [];
  const writers = new Map(
    operations.flatMap((one) => writesOf(one.asked).map((w) => [keyOf(w.stream, w.value), one] as const)),
  );
  for (const [stream, values] of final) {
    let first: { readonly ended: number; readonly value: string } = { ended: Infinity, value: '' };
    for (const value of [...values].reverse()) {
      const writer = writers.get(keyOf(stream, value));
      if (writer === undefined) continue;
      if (first.ended < writer.invoked)
        found.push(
          `${value} in ${stream} comes before ${first.value}, which was stored before it was asked for`,
        );
      if (writer.outcome === 'ok' && writer.ended < first.ended) first = { ended: writer.ended, value };
    }
  }
  return found;
}
