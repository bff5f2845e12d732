import { z } from 'zod';
import type { Decider } from '../log/decider.ts';
import type { Fact } from '../log/event.ts';
import { type ParsedAuditEvent, parsedAuditEvent } from './audit-event.ts';
import { emptyRecent, type Recent, remember, remembers } from './recent.ts';

/** One life of a sender's spool: a process of a host. */
const generation = z.string().min(1).max(64);
const number = z.number().int().nonnegative();

export const auditFact = z.object({
  type: z.literal('audit.recorded'),
  data: z.object({
    event: parsedAuditEvent,
    /**
     * The event's generation and number in it. On the last one of an append, what was stored last of other
     * generations of its sender follows: so the last event of a stream alone says what it has.
     */
    sent: z
      .array(z.tuple([generation, number]))
      .min(1)
      .optional(),
  }),
});
export type AuditFact = z.infer<typeof auditFact>;

/** How a sender numbers events: within a generation, in the order in which it sends them. */
export const auditNumbers = z.object({ generation, numbers: z.array(number) });
export type AuditNumbers = z.infer<typeof auditNumbers>;

export interface RecordAudit {
  readonly type: 'record-audit';
  readonly events: readonly ParsedAuditEvent[];
  /** Of `events`, one for one. Senders of the release before give none. */
  readonly numbered?: AuditNumbers | undefined;
}

export interface AuditState {
  /** The `uid`s of the last events without a number. */
  readonly unnumbered: Recent;
  /** The highest number stored of each generation, the one heard last first. */
  readonly sent: readonly [generation: string, number: number][];
}

/**
 * A generation is forgotten when so many others of its sender have stored something since. A spool gives what
 * an earlier process left before its own, so one of so long ago has nothing left to send.
 */
const maxGenerations = 8;

/**
 * One stream of the audit partition. An event whose number is not higher than the highest stored of its
 * generation is not stored again, at any distance; one without a number, when its `uid` is among the last
 * 2,048 of its stream.
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

/** Whether it tells of this session: such an event may lie in the stream of its sender. */
export const tellsOfSession = (fact: Fact, sid: string): boolean =>
  fact.type === 'audit.recorded' && auditFact.safeParse(fact).data?.data.event.sid === sid;
