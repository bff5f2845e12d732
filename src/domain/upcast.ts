import { minute } from '../base/time.ts';
import type { Fact } from '../log/event.ts';

type Data = Readonly<Record<string, unknown>>;

/** From the form of an earlier release to the next one; the same object where it already has that form. */
type Upcast = (data: Data) => Data;

/** By type, in the order of the releases that changed it: each takes the result of the previous one. */
const upcasts: Readonly<Record<string, readonly Upcast[]>> = {
  // Every lock lasted 20 minutes before facts had its length. For such facts that stays so, however long a
  // lock lasts today.
  'user.locked': [(data) => ('forMs' in data ? data : { ...data, forMs: 20 * minute })],
};

/**
 * A stored fact in the form of this release. The one place that knows the forms of earlier releases: schemas,
 * deciders and views see only today's. Pure and total: a fact that does not have an earlier form is returned
 * as it is.
 */
export function upcast<F extends Pick<Fact, 'type' | 'data'>>(fact: F): F {
  const steps = Object.hasOwn(upcasts, fact.type) ? upcasts[fact.type] : undefined;
  if (steps === undefined) return fact;
  const before = fact.data as Data;
  const data = steps.reduce((form, step) => step(form), before);
  return data === before ? fact : { ...fact, data };
}
