import { CodedError } from '../base/errors.ts';
import type { AuditNumbers } from '../domain/audit.ts';
import { type ParsedAuditEvent, parsedAuditEvent } from '../domain/audit-event.ts';
import { numberKey, type Segment, type Spooled } from './spool.ts';
import { issuesOf, jsonOrUndefined } from './wire-errors.ts';

/** An event that no disk accepted. It has no number: auth recognises it by its `uid`. */
export const inMemory = (text: string): Spooled => ({
  ...{ text, bytes: Buffer.byteLength(text), segment: memory, number: undefined },
});
const memory: Segment = { path: '', generation: '', waiting: 0 };
export const isInMemory = ({ segment }: Spooled): boolean => segment === memory;

/**
 * For a record that was found, because another process wrote it. @throws CodedError `bad_request` when it is
 * not an event.
 */
export function checkEvent({ text }: Spooled): void {
  const parsed = parsedAuditEvent.safeParse(jsonOrUndefined(text));
  if (!parsed.success) throw new CodedError('bad_request', `not an audit event: ${issuesOf(parsed.error)}`);
}

/** For a record that was checked, or written here. */
export function eventIn({ text }: Spooled): ParsedAuditEvent {
  const record = JSON.parse(text) as ParsedAuditEvent;
  return Object.fromEntries(Object.entries(record).filter(([key]) => key !== numberKey)) as ParsedAuditEvent;
}

/** Whether both were numbered by the same spool. */
export const sameLife = (one: Spooled, other: Spooled): boolean =>
  one.segment.generation === other.segment.generation &&
  (one.number === undefined) === (other.number === undefined);

/** Undefined for records spooled by an earlier release. */
export function numbersOf(batch: readonly Spooled[]): AuditNumbers | undefined {
  const numbers = batch.map((one) => one.number).filter((one) => one !== undefined);
  const generation = batch[0]?.segment.generation;
  return generation === undefined || numbers.length < batch.length ? undefined : { generation, numbers };
}
