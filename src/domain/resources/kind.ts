import type { z } from 'zod';
import type { ResourceKind } from '../rule-subjects.ts';
import type { ResourceDocument } from './document.ts';

/** One kind of resource: what `tctl create`, `get`, `rm` and the API know of it. */
export interface KindOfResource<D extends ResourceDocument = ResourceDocument> {
  /** As documents name it. */
  readonly kind: string;
  /** How else it is called on a command line. */
  readonly aliases: readonly string[];
  readonly version: string;
  /** How rules of roles call it. */
  readonly rules: ResourceKind;
  /** Of a whole document: strict, and it names the place of a fault. */
  readonly schema: z.ZodType<D>;
  /** Titles and contents of `--format=text`. */
  readonly columns: readonly (readonly [title: string, content: (document: D) => string])[];
  /** There is one, of this name; it needs none on a command line. */
  readonly single?: string;
  /** Why documents of it are not taken; left out: they are. */
  readonly notWritten?: string;
  /**
   * Of a document of a file of everything: with what is secret, and what nobody sets. Left out: as `schema`.
   */
  readonly wholeSchema?: z.ZodType<D>;
  /** Why `teleport start --bootstrap` takes no documents of it; left out: it does. */
  readonly notBootstrapped?: string;
  /** Why a file of everything leaves it out, though documents of it are taken. */
  readonly notRestored?: string;
  /** An operator gives it labels. Default: not. */
  readonly labelled?: true;
  /** Why the time when it expires is not changed; left out: it does not expire. */
  readonly notProlonged?: string;
  /** Why it is not deleted; left out: it is. */
  readonly notDeleted?: string;
}

/**
 * For lists of all kinds. Its functions are called with documents that its own schema has read, and no
 * others.
 */
export const kindOfResource = <D extends ResourceDocument>(kind: KindOfResource<D>): KindOfResource =>
  kind as unknown as KindOfResource;
