import { LineCounter, parseAllDocuments, type Document } from 'yaml';
import { z } from 'zod';
import { CodedError, messageOf } from '../../base/errors.ts';
import { nearest } from '../../base/nearest.ts';
import type { PlacedDocument, ResourceDocument } from '../../domain/resources/document.ts';
import type { KindOfResource } from '../../domain/resources/kind.ts';
import { kindNamed } from '../../domain/resources/registry.ts';
import { faultIn, offsetOf } from './yaml-faults.ts';

/** `write`: as `tctl create` and `tctl edit` take them; `bootstrap`: as `teleport start --bootstrap` does. */
export type Purpose = 'write' | 'bootstrap';

/** 4.4: a resource has at most a million bytes. */
const longestFile = 16_000_000;

/**
 * Reads a file of resources, YAML or JSON (which is YAML), one or several documents.
 * @param name how errors call the file.
 * @param purpose `bootstrap`: a file of everything, with what is secret.
 * @throws CodedError `bad_request` with file, line and column of the first fault of all documents: nothing of
 *   the file is to be written then.
 */
export function readDocuments(
  text: string,
  name: string,
  purpose: Purpose = 'write',
): readonly PlacedDocument[] {
  if (text.length > longestFile)
    throw new CodedError('bad_request', `${name}: a file of resources has at most ${longestFile} characters`);
  const lines = new LineCounter();
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${name}:${line}:${col}`;
  };
  const parsed = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  if (!Array.isArray(parsed)) return [];
  for (const { errors } of parsed) {
    const [broken] = errors;
    if (broken) throw new CodedError('bad_request', `${at(broken.pos[0])}: ${broken.message}`);
  }
  return parsed
    .map((document) => ({ document, content: contentOf(document, at) }))
    .filter(({ content }) => content !== null && content !== undefined)
    .flatMap(({ document, content }) => placed(document, content, { at, purpose }));
}

function contentOf(document: Document, at: (offset: number) => string): unknown {
  try {
    return document.toJS();
  } catch (e) {
    // An alias without its anchor, or aliases that expand without end.
    throw new CodedError('bad_request', `${at(document.range?.[0] ?? 0)}: ${messageOf(e)}`);
  }
}

interface Reading {
  readonly at: (offset: number) => string;
  readonly purpose: Purpose;
}

/** A list is as many documents, as `tctl get --format=json` prints them. */
function placed(document: Document, content: unknown, { at, purpose }: Reading): PlacedDocument[] {
  const list = Array.isArray(content) ? content : undefined;
  return (list ?? [content]).map((one: unknown, i) => {
    const prefix = list === undefined ? [] : [String(i)];
    const place = (path: readonly string[] = []): string => {
      const whole = [...prefix, ...path];
      return at(whole.length === 0 ? (document.contents?.range?.[0] ?? 0) : offsetOf(document, whole));
    };
    return { document: checked(one, place, purpose), place };
  });
}

const named = z.looseObject({ kind: z.string({ error: 'a resource has a kind, such as "kind: role"' }) });

function checked(content: unknown, place: PlacedDocument['place'], purpose: Purpose): ResourceDocument {
  const loose = named.safeParse(content);
  if (!loose.success) {
    const { path, message } = faultIn(loose.error.issues);
    throw new CodedError('bad_request', `${place(path)}: ${message}`);
  }
  const kind = kindAt(loose.data.kind, place);
  const why = purpose === 'write' ? kind.notWritten : kind.notBootstrapped;
  if (why !== undefined)
    throw new CodedError(
      'bad_request',
      `${place(['kind'])}: resources of kind ${JSON.stringify(kind.kind)} are not written by a file: ${why}`,
    );
  const schema = purpose === 'write' ? kind.schema : (kind.wholeSchema ?? kind.schema);
  const read = schema.safeParse(content);
  if (!read.success) throw refused(schema, read.error, place);
  // What was written, not what the schema makes of it: the auth server reads it by its own.
  return content as ResourceDocument;
}

function kindAt(name: string, place: PlacedDocument['place']): KindOfResource {
  try {
    const kind = kindNamed(name);
    if (kind.kind === name) return kind;
    throw new CodedError('bad_request', `the kind is called ${kind.kind}`);
  } catch (e) {
    throw new CodedError('bad_request', `${place(['kind'])}: ${messageOf(e)}`, { cause: e });
  }
}

function refused(schema: z.ZodType, error: z.ZodError, place: PlacedDocument['place']): CodedError {
  const { path, unknownKey, message } = faultIn(error.issues);
  if (unknownKey === undefined)
    return new CodedError(
      'bad_request',
      `${place(path)}: ${path.length > 0 ? `${path.join('.')}: ` : ''}${message}`,
    );
  const inside = path.slice(0, -1);
  const near = nearest(unknownKey, keysAt(schema, inside));
  return new CodedError(
    'bad_request',
    `${place(path)}: unknown key ${JSON.stringify(unknownKey)}${inside.length > 0 ? ` in ${inside.join('.')}` : ''}` +
      (near === undefined ? '' : `; did you mean ${near}?`),
  );
}

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
}

/** Keys that a schema knows at a place. */
function keysAt(schema: z.ZodType, path: readonly string[]): readonly string[] {
  let level = [z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema];
  for (const part of path)
    level = level.flatMap(branches).flatMap((one) => one.properties?.[part] ?? one.items ?? []);
  return level.flatMap(branches).flatMap(({ properties = {} }) => Object.keys(properties));
}

const branches = (one: JsonSchema): JsonSchema[] => [
  one,
  ...[...(one.anyOf ?? []), ...(one.allOf ?? [])].flatMap(branches),
];
