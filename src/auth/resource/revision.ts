import { createHash } from 'node:crypto';
import type { ResourceDocument } from '../../domain/resources/document.ts';

/** Parts of a document that the cluster says of a resource, and nobody sets. */
const told = new Set(['status', 'created_by', 'created_at', 'joined', 'last_seen']);

/**
 * Names what a document says, apart from what nobody sets: the same on every auth server, and the same again
 * after a change was taken back. 16 hexadecimal digits.
 */
export function revisionOf({ kind, sub_kind, version, metadata, spec }: ResourceDocument): string {
  const named = { ...metadata, revision: undefined };
  const content = [kind, sub_kind ?? '', version, named, withoutTold(spec)];
  return createHash('sha256').update(canonical(content)).digest('hex').slice(0, 16);
}

export const withRevision = <D extends ResourceDocument>(document: D): D => ({
  ...document,
  metadata: { ...document.metadata, revision: revisionOf(document) },
});

const withoutTold = (spec: unknown): unknown =>
  typeof spec === 'object' && spec !== null
    ? Object.fromEntries(Object.entries(spec).filter(([key]) => !told.has(key)))
    : spec;

/** JSON with sorted keys. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null)
    return value === undefined ? 'null' : JSON.stringify(value);
  const entries = Object.entries(value)
    .filter(([, one]) => one !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, one]) => `${JSON.stringify(key)}:${canonical(one)}`);
  return `{${entries.join(',')}}`;
}
