import { z } from 'zod';
import { isCleanText } from '../../base/clean-text.ts';
import { anyKey, foreignRecord } from '../../base/foreign-record.ts';
import { parseInstant } from '../../base/quantities.ts';

/** A resource as files and `tctl get` have it. Source: reference 4.4, resources §1. */
export interface ResourceDocument {
  readonly kind: string;
  readonly sub_kind?: string | undefined;
  readonly version: string;
  readonly metadata: DocumentMetadata;
  readonly spec: unknown;
}

/** A document of a file, and where faults that others find in it stand. */
export interface PlacedDocument {
  /** As it was written: what its kind's schema admits. */
  readonly document: ResourceDocument;
  /** `file:line:column`; of the document as a whole without a path. */
  readonly place: (path?: readonly string[]) => string;
}

export interface DocumentMetadata {
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly description?: string | undefined;
  readonly expires?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /**
   * Names the state of the resource that was read. A file that has one is written only while the resource is
   * still as it was then.
   */
  readonly revision?: string | undefined;
}

const text = (longest: number) =>
  z.string().max(longest).refine(isCleanText, 'a line without control and invisible characters');

/** `^[a-zA-Z/.0-9_*-]+$`, as 4.4 has it. */
const labelName = z
  .string()
  .max(128)
  .regex(/^[a-zA-Z/.0-9_*-]+$/, 'is not a name of a label: letters, digits and any of / . _ * -')
  .and(anyKey);

const metadata = {
  name: z.string().min(1).max(253),
  /** There is one. */
  namespace: z.literal('default').optional(),
  revision: z.string().max(128).optional(),
  /** Of stores of 4.4, where files of it come from: it says nothing here. */
  id: z.union([z.number(), z.string()]).optional(),
};
export const describedMetadata = {
  description: text(1_000).optional(),
  labels: foreignRecord(labelName, text(1_000)).optional(),
};
/** RFC 3339. */
export const moment = z.string().transform((value, context) => {
  const at = parseInstant(value);
  if (at !== undefined) return at;
  context.addIssue({ code: 'custom', message: 'expected a time like 2026-01-31T08:00:00Z' });
  return z.NEVER;
});
export const expiringMetadata = { expires: moment.optional() };

interface Parts<K extends string, V extends string, S extends z.ZodType, M extends z.ZodRawShape> {
  readonly kind: K;
  readonly version: V;
  readonly spec: S;
  /** What its metadata has beside the name. */
  readonly metadata?: M;
}

type Metadata<M extends z.ZodRawShape> = z.ZodObject<typeof metadata & M, z.core.$strict>;

type DocumentSchema<
  K extends string,
  V extends string,
  S extends z.ZodType,
  M extends z.ZodRawShape,
> = z.ZodObject<
  { kind: z.ZodLiteral<K>; version: z.ZodLiteral<V>; metadata: Metadata<M>; spec: S },
  z.core.$strict
>;

/** The schema of the whole document: nothing is in it that is not known. */
export const documentSchema = <
  K extends string,
  V extends string,
  S extends z.ZodType,
  // eslint-disable-next-line @typescript-eslint/no-generated-empty-object-type -- most kinds add nothing
  M extends z.ZodRawShape = Record<never, never>,
>(
  parts: Parts<K, V, S, M>,
): DocumentSchema<K, V, S, M> =>
  z.strictObject({
    kind: z.literal(parts.kind),
    version: z.literal(parts.version),
    metadata: z.strictObject({ ...metadata, ...parts.metadata }) as unknown as Metadata<M>,
    spec: parts.spec,
  });

/** Bytes in a document, as 4.4 writes them. */
export const base64 = z
  .string()
  .max(100_000)
  .regex(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/, 'expected base64');

/** yes, no, on, off as well: YAML of 4.4 has them. */
export const documentFlag = z.union([z.boolean(), z.enum(['yes', 'no', 'on', 'off', 'true', 'false'])]);

export const isOn = (flag: z.infer<typeof documentFlag>): boolean =>
  flag === true || flag === 'yes' || flag === 'on' || flag === 'true';

/** One text or a list of them. */
export const oneOrMore = z.union([z.string(), z.array(z.string())]);
