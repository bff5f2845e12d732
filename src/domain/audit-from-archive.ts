import type { Fact } from '../log/event.ts';
import { readArchiveDeleted } from '../log/segment-record.ts';
import { catalogue } from './audit-catalogue.ts';
import type { EventBody } from './audit-kind.ts';

/** Of a fact about the archive. That slots were moved is no news: they are found as before. */
export function tellArchive(fact: Fact, by: string): EventBody | undefined {
  const deleted = readArchiveDeleted(fact);
  return deleted && catalogue.auditDelete({ user: by, until: deleted.until, archive: deleted.place });
}
