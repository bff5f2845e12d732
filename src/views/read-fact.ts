import type { z } from 'zod';
import { CodedError } from '../base/errors.ts';
import type { Recorded } from '../log/event.ts';

/** The schemas of facts, by type. */
type FactSchema = z.ZodType<{ type: string; data: object }>;

/**
 * The fact, if it is one of the types that `schema` describes; undefined for a type it does not know: a newer version
 * may write those.
 * @throws CodedError `damaged` for a known type in an unknown shape. A view that skipped, say, a deleted user
 * would let people in: it must stop instead.
 */
export function readFact<S extends FactSchema>(
  schema: S,
  types: ReadonlySet<string>,
  { fact, stream, position }: Recorded,
): z.output<S> | undefined {
  if (!types.has(fact.type)) return undefined;
  const parsed = schema.safeParse(fact);
  if (!parsed.success)
    throw new CodedError(
      'damaged',
      `${fact.type} in ${stream} at position ${position} has an unknown shape`,
      {
        cause: parsed.error,
      },
    );
  return parsed.data;
}

/** The types that a union of facts has. */
export const typesOf = (schema: {
  readonly options: readonly { readonly shape: { readonly type: { readonly value: string } } }[];
}): ReadonlySet<string> => new Set(schema.options.map(({ shape }) => shape.type.value));
