import { CodedError } from '../base/errors.ts';
import type { ParsedAuditEvent } from '../domain/audit-event.ts';

/** An auth service in which a test decides the result of each batch. */
export interface FakeAuth {
  readonly batches: ParsedAuditEvent[][];
  /** `n` of each event that was stored. */
  stored(): unknown[];
  answer(events: ParsedAuditEvent[]): Promise<void>;
  call(operation: unknown, input: unknown): Promise<object>;
}

export function fakeAuth(): FakeAuth {
  const batches: ParsedAuditEvent[][] = [];
  const fake: FakeAuth = {
    batches,
    stored: () => batches.flat().map((event) => event['n']),
    answer: () => Promise.resolve(),
    call: async (_operation, input) => {
      const { events } = input as { events: ParsedAuditEvent[] };
      await fake.answer(events);
      batches.push(events);
      return { position: 1 };
    },
  };
  return fake;
}

export const unavailable = (): Promise<void> =>
  Promise.reject(new CodedError('unavailable', 'no auth server answers'));
export const never = (): Promise<void> => new Promise(() => undefined);
