import type { z } from 'zod';
import type { Fact } from '../log/event.ts';
import { upcast } from './upcast.ts';

/**
 * The fact in the form of this release, for people to read; undefined for a type or a shape that it does not
 * know.
 */
export const readStored = <S extends z.ZodType>(schema: S, fact: Fact): z.output<S> | undefined =>
  schema.safeParse(upcast(fact)).data;
