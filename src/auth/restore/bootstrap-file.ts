import type { PlacedDocument } from '../../domain/resources/document.ts';

/** The file of `teleport start --bootstrap`, read whole. */
export interface BootstrapFile {
  /** `sha256:…` of its contents. */
  readonly digest: string;
  /** Each as the schema of its kind admits it. */
  readonly documents: readonly PlacedDocument[];
}
