import type { Fact } from '../log/event.ts';
import { checkCritical } from './critical.ts';
import { upcast } from './upcast.ts';

/**
 * How a decider reads the facts of its own stream. It decides only when it understands all of them: it throws
 * for a type or shape that it does not know, and for an unknown critical name.
 */
export const writerReads = <F>(schema: { parse(stored: unknown): F }): { parse(stored: unknown): F } => ({
  parse: (stored) => {
    const fact = stored as Fact;
    checkCritical(fact);
    return schema.parse(upcast(fact));
  },
});
