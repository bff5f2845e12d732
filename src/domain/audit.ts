import { z } from 'zod';
import type { Decider } from '../log/decider.ts';
import type { Fact } from '../log/event.ts';
import { type ParsedAuditEvent, parsedAuditEvent } from './audit-event.ts';
import { emptyRecent, type Recent, remember, remembers } from './recent.ts';

/** One lifetime of a sender's spool: a process of a host. */
const generation = z.string().min(1).max(64);
const number = z.number().int().nonnegative();

/** An event of the partition `attempts`. The id shows whether that still holds it there. */
const attemptPlace = z.object({ position: number, id: z.string() });

export const auditFact = z.object({
  type: z.literal('audit.recorded'),
  data: z.object({
    event: parsedAuditEvent,
    /**
     * The event's generation and its number in it. The last event of an append also carries the last stored
     * numbers of the sender's other generations, so that the last event of a stream is enough to know what it
     * has.
     */
    sent: z
      .array(z.tuple([generation, number]))
      .min(1)
      .optional(),
    /** Of `toldAttemptsStream`: what it tells of. */
    attempt: attemptPlace.optional(),
  }),
});
export type AuditFact = z.infer<typeof auditFact>;

/** In `toldAttemptsStream`: up to there nothing of the partition `attempts` is left to tell. */
export const toldFact = z.object({
  type: z.literal('attempts.told'),
  data: z.object({ until: attemptPlace }),
});
export type ToldFact = z.infer<typeof toldFact>;

/** How a sender numbers events: within a generation, in the order in which it sends them. */
export const auditNumbers = z.object({ generation, numbers: z.array(number) });
export type AuditNumbers = z.infer<typeof auditNumbers>;

export interface RecordAudit {
  readonly type: 'record-audit';
  readonly events: readonly ParsedAuditEvent[];
  /** One for each of `events`. Senders of the previous release give none. */
  readonly numbered?: AuditNumbers | undefined;
}

export interface AuditState {
  /** The `uid`s of the last events without a number. */
  readonly unnumbered: Recent;
  /** The highest number stored of each generation, the most recently active generation first. */
  readonly sent: readonly [generation: string, number: number][];
}

/**
 * A generation is forgotten when this many others of its sender have stored something since. A spool sends
 * what an earlier process left before its own events, so such an old generation has nothing left to send.
 */
const maxGenerations = 8;

/**
 * One stream of the audit partition. An event whose number is not higher than the highest stored of its
 * generation is not stored again, however old it is. An event without a number is not stored again when its
 * `uid` is among the last 2,048 of its stream.
 */
export const audit: Decider<AuditState, RecordAudit, AuditFact> = {
  fact: auditFact,
  initial: { unnumbered: emptyRecent, sent: [] },
  decide(state, { events, numbered }) {
    const facts: AuditFact[] = [];
    const mine = new Set<string>();
    let { sent } = state;
    for (const [i, event] of events.entries()) {
      if (mine.has(event.uid) || remembers(state.unnumbered, event.uid)) continue;
      const number = numbered?.numbers[i];
      if (numbered && number !== undefined) {
        if (number <= highest(sent, numbered.generation)) continue;
        sent = heard(sent, [[numbered.generation, number]]);
      }
      mine.add(event.uid);
      facts.push({
        type: 'audit.recorded',
        data: { event, ...(number !== undefined && { sent: sent.slice(0, 1) }) },
      });
    }
    const last = facts.at(-1);
    if (last?.data.sent) facts[facts.length - 1] = { ...last, data: { ...last.data, sent: [...sent] } };
    return facts;
  },
  evolve(state, { data: { event, sent } }) {
    return sent
      ? { ...state, sent: heard(state.sent, sent) }
      : { ...state, unnumbered: remember(state.unnumbered, event.uid) };
  },
};

const highest = (sent: AuditState['sent'], generation: string): number =>
  sent.find(([one]) => one === generation)?.[1] ?? -1;

const heard = (before: AuditState['sent'], now: AuditState['sent']): AuditState['sent'] =>
  [...now, ...before.filter(([one]) => !now.some(([other]) => other === one))].slice(0, maxGenerations);

/** Whether the event belongs to this session: such an event may be in the stream of its sender. */
export const tellsOfSession = (fact: Fact, sid: string): boolean =>
  fact.type === 'audit.recorded' && auditFact.safeParse(fact).data?.data.event.sid === sid;
