import type { z } from 'zod';
import type { Operation } from '../api/operation.ts';
import type { Call } from '../api/server-deps.ts';
import { implement, type Implementation } from '../api/serve-operations.ts';
import type { AuthDeps } from './deps.ts';

/** A use case as an element of the list of all: it knows its row. */
export interface Bound {
  readonly operation: Operation;
  /** For a server with these dependencies. */
  readonly on: (deps: AuthDeps) => Implementation;
}

/** Carries out one row of the contract. */
export interface UseCase<I extends z.ZodType, O extends z.ZodType> extends Bound {
  (deps: AuthDeps, call: Call, input: z.output<I>): Promise<z.input<O>>;
}

/** Binds a use case to its row, which gives its input and output types. */
export function implementing<I extends z.ZodType, O extends z.ZodType>(
  row: Operation<I, O>,
  run: (deps: AuthDeps, call: Call, input: z.output<I>) => Promise<z.input<O>>,
): UseCase<I, O> {
  const useCase = (deps: AuthDeps, call: Call, input: z.output<I>): Promise<z.input<O>> =>
    run(deps, call, input);
  return Object.assign(useCase, {
    operation: row,
    on: (deps: AuthDeps) => implement(row, (call, input) => run(deps, call, input)),
  });
}
