import { createHash } from 'node:crypto';
import { canonicalJson } from '../../base/canonical-json.ts';
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
  return createHash('sha256').update(canonicalJson(content)).digest('hex').slice(0, 16);
}

export const withRevision = <D extends ResourceDocument>(document: D): D => ({
  ...document,
  metadata: { ...document.metadata, revision: revisionOf(document) },
});

const withoutTold = (spec: unknown): unknown =>
  typeof spec === 'object' && spec !== null
    ? Object.fromEntries(Object.entries(spec).filter(([key]) => !told.has(key)))
    : spec;
