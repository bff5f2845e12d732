import { LineCounter, parseDocument, type Document } from 'yaml';
import type { z } from 'zod';
import { CodedError, messageOf } from '../../base/errors.ts';
import { fileSchema, type ConfigFile } from './config-schema.ts';

/**
 * Reads teleport.yaml.
 * @param name how errors call the text: its path, or `--config-string`.
 * @throws CodedError `misconfigured` with file, line, column and field of the first fault. A known key in the
 *   wrong section is a fault too (4.4 ignored it).
 */
export const parseConfigFile = (text: string, name: string): ConfigFile => parseYaml(text, name, fileSchema);

/** The same for any text with the form of `schema`. */
export function parseYaml<T>(text: string, name: string, schema: z.ZodType<T>): T {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${name}:${line}:${col}`;
  };
  const broken = document.errors[0];
  if (broken) throw new CodedError('misconfigured', `${at(broken.pos[0])}: ${broken.message}`);
  let content: unknown;
  try {
    content = document.toJS();
  } catch (e) {
    // An alias without its anchor, or aliases that expand without end.
    throw new CodedError('misconfigured', `${name}: ${messageOf(e)}`);
  }
  const parsed = schema.safeParse(content ?? {});
  if (parsed.success) return parsed.data;
  const issue = deepest(parsed.error.issues);
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0] ?? '';
    const where = [...path, key];
    throw new CodedError(
      'misconfigured',
      `${at(offsetOf(document, where))}: unrecognized configuration key: '${key}'${path.length > 0 ? ` in ${path.join('.')}` : ''}`,
    );
  }
  throw new CodedError(
    'misconfigured',
    `${at(offsetOf(document, path))}: ${path.length > 0 ? `${path.join('.')}: ` : ''}${issue.message}`,
  );
}

/** Unions report one issue per branch: the one that got furthest is the most helpful. */
function deepest(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue {
  // A misspelt key is also the reason why another one is missing.
  const first = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0];
  if (first === undefined) throw new Error('a refused configuration without a reason');
  if (first.code !== 'invalid_union' || first.errors.length === 0) return first;
  const inner = first.errors.flat().sort((a, b) => b.path.length - a.path.length)[0];
  return inner === undefined || inner.path.length === 0
    ? first
    : { ...inner, path: [...first.path, ...inner.path] };
}

/** Where the key or value at `path` is in the text; otherwise its nearest existing parent. */
function offsetOf(document: Document, path: readonly string[]): number {
  for (let length = path.length; length > 0; length--) {
    const parent: unknown =
      length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const found = keyOffset(parent, path[length - 1] ?? '');
    if (found !== undefined) return found;
  }
  return 0;
}

interface Ranged {
  range?: [number, number, number] | null;
}

function keyOffset(parent: unknown, key: string): number | undefined {
  const items = (parent as { items?: unknown[] } | null)?.items;
  if (!Array.isArray(items)) return undefined;
  for (const [index, item] of items.entries()) {
    const pair = item as { key?: Ranged & { value?: unknown } };
    if (pair.key !== undefined ? String(pair.key.value) === key : String(index) === key)
      return (pair.key ?? (item as Ranged)).range?.[0];
  }
  return undefined;
}
