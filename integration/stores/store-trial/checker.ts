import type { History, Operation, Restore, Stored } from './history.ts';
import { writesOf } from './history.ts';
import { checkBeats, checkSecrets, checkSessions, checkTokens } from './check-promises.ts';

/** Somebody was told that a value is stored: it was acknowledged, read, or heard by following. */
interface Knowledge {
  readonly worker: string;
  readonly at: number;
  readonly revision: number;
}

/** What the checks share: the log at the end, and what of it may be missing. */
export interface Evidence extends History {
  /** Values of each stream at the end, the oldest first. */
  readonly final: ReadonlyMap<string, readonly string[]>;
  /** Who asked for a value. */
  readonly writer: (stream: string, value: string) => Operation | undefined;
  readonly known: (stream: string, value: string) => readonly Knowledge[];
  /**
   * Whether it may be missing: an earlier state was restored, and nobody who knew it was left, or its place
   * was taken.
   */
  readonly excused: (stream: string, value: string) => boolean;
  /** Whether the store had gone back and was not yet recovered: then some do not know what others knew. */
  readonly unrecovered: (operation: Operation) => boolean;
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
  const { operations, restores } = history;
  const final = new Map<string, string[]>();
  for (const { stream, value } of history.stored) final.set(stream, [...(final.get(stream) ?? []), value]);
  const everything = knowledgeOf(history);
  const writers = new Map(
    operations.flatMap((one) =>
      writesOf(one.asked).map(({ stream, value }) => [keyOf(stream, value), one] as const),
    ),
  );
  const writer = (stream: string, value: string): Operation | undefined => writers.get(keyOf(stream, value));
  const known = (stream: string, value: string): readonly Knowledge[] =>
    everything.get(keyOf(stream, value)) ?? [];
  /** Somebody who did not know it wrote there, or earlier, while the store had gone back. */
  const displaced = (stream: string, knowing: readonly Knowledge[], { began, ended }: Restore): boolean => {
    const revision = Math.min(...knowing.map((one) => one.revision));
    return (final.get(stream) ?? []).slice(0, revision).some((value) => {
      const by = writer(stream, value);
      if (by === undefined || by.ended < began || by.invoked > ended) return false;
      if (known(stream, value).some(({ at }) => at < began)) return false;
      return knowing.every(({ worker }) => worker !== by.worker);
    });
  };
  const lostBy = (restore: Restore, stream: string, value: string): boolean => {
    const knowing = known(stream, value);
    // What was told later was not lost by this one.
    if (knowing.some(({ at }) => at >= restore.ended)) return false;
    return (
      knowing.every(({ worker }) => !restore.survivors.includes(worker)) ||
      displaced(stream, knowing, restore)
    );
  };
  return {
    ...history,
    final,
    writer,
    known,
    excused: (stream, value) => restores.some((restore) => lostBy(restore, stream, value)),
    unrecovered: ({ invoked, ended }) => restores.some((one) => invoked < one.ended && ended > one.began),
  };
}

function knowledgeOf({ operations, sessions }: History): Map<string, Knowledge[]> {
  const known = new Map<string, Knowledge[]>();
  const note = (stream: string, value: string, knowledge: Knowledge): void => {
    const key = keyOf(stream, value);
    const before = known.get(key);
    if (before) before.push(knowledge);
    else known.set(key, [knowledge]);
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
  for (const { worker, events } of sessions)
    for (const { stream, value, revision, at } of events) note(stream, value, { worker, at, revision });
  return known;
}

/** An error without a code is a fault of the program, whatever the store did. */
const checkBugs = ({ operations }: History): string[] =>
  operations
    .filter(({ code }) => code === 'bug' || code === 'damaged')
    .map((one) => `${one.worker} answered ${one.asked.kind} with ${one.code ?? ''}: ${one.message ?? ''}`);

/** What is stored was asked for, once, and was not refused. */
function checkStored({ stored, writer }: Evidence): string[] {
  const found: string[] = [];
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
    const origin = writer(event.stream, event.value);
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

/**
 * A read gives the beginning of the register, and all of it that was known to be stored when it was asked
 * for.
 */
function checkReads(evidence: Evidence): string[] {
  return evidence.operations.flatMap((one) => {
    if (one.asked.kind !== 'read' || one.outcome !== 'ok') return [];
    const { register } = one.asked;
    const values = one.answer?.values ?? [];
    const what = [...misreadIn(evidence, register, values), ...staleIn(evidence, one, register, values)];
    return what.map((text) => `${one.worker} read ${text}`);
  });
}

function misreadIn({ final, excused }: Evidence, register: string, values: readonly string[]): string[] {
  const list = final.get(register) ?? [];
  const lasting = values.filter((value) => list.includes(value) || !excused(register, value));
  const wrong = lasting.findIndex((value, i) => value !== list[i]);
  if (wrong === -1) return [];
  return [`${lasting[wrong] ?? ''} at ${wrong + 1} of ${register}, where ${list[wrong] ?? 'nothing'} is`];
}

function staleIn(evidence: Evidence, one: Operation, register: string, values: readonly string[]): string[] {
  const seen = new Set(values);
  const alone = evidence.unrecovered(one);
  return (evidence.final.get(register) ?? []).flatMap((value) => {
    if (seen.has(value)) return [];
    const told = evidence
      .known(register, value)
      .find(({ at, worker }) => at < one.invoked && (!alone || worker === one.worker));
    return told ? [`${register} without ${value}, which ${told.worker} had told before`] : [];
  });
}

/** Of two values in a register, the one that was acknowledged before the other was asked for comes first. */
function checkOrder({ final, writer }: Evidence): string[] {
  const found: string[] = [];
  for (const [stream, values] of final) {
    let first: { readonly ended: number; readonly value: string } = { ended: Infinity, value: '' };
    for (const value of [...values].reverse()) {
      const asked = writer(stream, value);
      if (asked === undefined) continue;
      if (first.ended < asked.invoked)
        found.push(
          `${value} in ${stream} comes before ${first.value}, which was stored before it was asked for`,
        );
      if (asked.outcome === 'ok' && asked.ended < first.ended) first = { ended: asked.ended, value };
    }
  }
  return found;
}
