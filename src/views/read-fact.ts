import type { z } from 'zod';
import { unknownCritical } from '../domain/critical.ts';
import { upcast } from '../domain/upcast.ts';
import type { Position, Recorded } from '../log/event.ts';

/** The schemas of facts, by type. */
type FactSchema = z.ZodType<{ type: string; data: object }>;

/** A fact that this release cannot read, about something that it decides by. */
export interface UnreadableFact {
  readonly type: string;
  readonly position: Position;
  /** The part of the thing that it is about, where it has such parts and this can be read. */
  readonly about?: string;
  /** Critical names that this release does not know; empty where it does not know the shape. */
  readonly critical: readonly string[];
  readonly why: string;
}

export type Reading<F> =
  | { readonly status: 'read'; readonly fact: F }
  /** Of a type that this release does not know and need not know: a newer one may write those. */
  | { readonly status: 'ignored' }
  /** The entity that it is about is treated as missing, until a later fact settles it. */
  | { readonly status: 'unreadable'; readonly unread: UnreadableFact };

/**
 * Reads a fact of any release, in the form of this one. Never throws: one fact must not stop the view of all
 * others.
 */
export function readFact<S extends FactSchema>(
  schema: S,
  types: ReadonlySet<string>,
  { fact, position }: Recorded,
): Reading<z.output<S>> {
  const { type } = fact;
  const unreadable = (critical: readonly string[], why: string): Reading<z.output<S>> => ({
    status: 'unreadable',
    unread: { type, position, critical, why: why.slice(0, maxWhy) },
  });
  const critical = unknownCritical(fact.data);
  if (critical.length > 0)
    return unreadable(critical, `it has what a reader must know: ${critical.join(', ')}`);
  if (!types.has(type)) return { status: 'ignored' };
  const parsed = schema.safeParse(upcast(fact));
  return parsed.success
    ? { status: 'read', fact: parsed.data }
    : unreadable([], whyOf(parsed.error.issues[0]));
}

const maxWhy = 200;

/** Names the place and what was expected there, never the value. */
const whyOf = (issue: z.core.$ZodIssue | undefined): string =>
  issue === undefined ? '' : `${issue.path.join('.')}: ${issue.message}`;

/** The types in a union of facts. */
export const typesOf = (schema: {
  readonly options: readonly { readonly shape: { readonly type: { readonly value: string } } }[];
}): ReadonlySet<string> => new Set(schema.options.map(({ shape }) => shape.type.value));
