import { z } from 'zod';
import { instant } from '../base/time.ts';
import type { Position, Recorded } from '../log/event.ts';

/**
 * A followed log is a stream of lines, one JSON object each: an event, the position up to which there is
 * nothing more for this reader, a sign of life with the position of the newest event, or the reason why the
 * stream ends.
 */
export const logLine = z.union([
  z.object({
    event: z.object({
      id: z.string(),
      stream: z.templateLiteral([z.string(), '-', z.string()]),
      revision: z.number().int().positive(),
      position: z.number().int().positive(),
      cause: z.object({ at: instant, actor: z.string(), requestId: z.string() }),
      fact: z.object({ type: z.string(), data: z.record(z.string(), z.unknown()) }),
    }),
  }),
  z.object({ position: z.number().int().nonnegative(), id: z.string().optional() }),
  z.object({
    head: z.number().int().nonnegative(),
    everyMs: z.number().int().positive().optional(),
    ageMs: z.number().nonnegative().optional(),
  }),
  z.object({ error: z.object({ code: z.string(), message: z.string() }) }),
]);
export type LogLine = z.infer<typeof logLine>;

/** A snapshot of one projection, as it is sent. */
export const wireSnapshot = z.object({ position: z.number().int().nonnegative(), state: z.unknown() });

const texts = new WeakMap<Recorded, string>();

/** The line of an event, without its sealed secrets. Made once, however many readers there are. */
export function eventLine(event: Recorded): string {
  const known = texts.get(event);
  if (known !== undefined) return known;
  const { id, stream, revision, position, cause, fact } = event;
  const bare = { id, stream, revision, position, cause, fact: { type: fact.type, data: fact.data } };
  const text = `${JSON.stringify({ event: bare })}\n`;
  texts.set(event, text);
  return text;
}

/** @param id of the event there. */
export const positionLine = (position: Position, id: string): string =>
  `${JSON.stringify({ position, id })}\n`;
/**
 * @param everyMs the next sign of life comes within this time.
 * @param ageMs how long ago the server had everything in its store.
 */
export const headLine = (head: Position, everyMs: number, ageMs = 0): string =>
  `{"head":${head},"everyMs":${everyMs},"ageMs":${Math.round(ageMs)}}\n`;
export const errorLine = (code: string, message: string): string =>
  `${JSON.stringify({ error: { code, message } })}\n`;
