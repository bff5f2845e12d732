import type { z } from 'zod';

/** Who emits an event: auth itself, or a machine in that role. From a machine auth accepts no others. */
export type Emitter = 'Auth' | 'Node' | 'Proxy';

/** Only `audit-catalogue.ts` can make a value of this type: no event is named by hand. */
declare const fromCatalogue: unique symbol;

/** Which event it is, and its own fields. The emitter adds the fields that all of its events have. */
export interface EventBody {
  readonly [fromCatalogue]: true;
  readonly event: string;
  readonly code: string;
  readonly [field: string]: unknown;
}

/** One row of the catalogue. Called with the fields of its event, it returns the event's body. */
export interface AuditKind<S extends z.ZodObject = z.ZodObject> {
  (fields: z.input<S>): EventBody;
  readonly event: string;
  readonly code: string;
  readonly by: readonly Emitter[];
  readonly fields: S;
}

/** A row. `by`: who emits it in this release. */
export function auditKind<S extends z.ZodObject>(
  event: string,
  code: string,
  by: readonly Emitter[],
  fields: S,
): AuditKind<S> {
  const body = (own: z.input<S>): EventBody => ({ event, code, ...own }) as unknown as EventBody;
  return Object.assign(body, { event, code, by, fields });
}
