import { CodedError } from '../../base/errors.ts';
import type { PlacedDocument, ResourceDocument } from '../../domain/resources/document.ts';
import { kindNamed } from '../../domain/resources/registry.ts';
import type { BootstrapFile } from './bootstrap-file.ts';

/** What is wrong, with its place in the file. */
export type Fault = (path: readonly string[], message: string) => CodedError;

/** A document as its kind reads it. */
export interface RestoredDocument<D extends ResourceDocument = ResourceDocument> {
  readonly document: D;
  readonly fault: Fault;
}

/** The documents of a file by their kind. */
export class RestoredDocuments {
  readonly #all: readonly RestoredDocument[];

  /** @throws CodedError `misconfigured` for one that is there twice. */
  constructor({ documents }: BootstrapFile) {
    this.#all = documents.map(read);
    const seen = new Set<string>();
    for (const { document, fault } of this.#all) {
      const { kind, sub_kind: sub = '', metadata } = document;
      const key = [kind, sub, metadata.name].join('/');
      if (seen.has(key)) throw fault(['metadata', 'name'], 'this resource is in the file twice');
      seen.add(key);
    }
  }

  of<D extends ResourceDocument>(kind: D['kind']): readonly RestoredDocument<D>[] {
    return this.#all.filter(({ document }) => document.kind === kind) as unknown as RestoredDocument<D>[];
  }

  /** How many of each kind. */
  counts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { document } of this.#all) counts[document.kind] = (counts[document.kind] ?? 0) + 1;
    return counts;
  }
}

function read({ document, place }: PlacedDocument): RestoredDocument {
  const fault: Fault = (path, message) =>
    new CodedError('misconfigured', `${place(path)}: ${path.join('.')}: ${message}`);
  const { schema, wholeSchema = schema, single } = kindNamed(document.kind);
  const parsed = wholeSchema.parse(document);
  if (single !== undefined && parsed.metadata.name !== single)
    throw fault(['metadata', 'name'], `there is one ${document.kind}, called ${single}`);
  return { document: parsed, fault };
}
