import type { Document } from 'yaml';
import type { z } from 'zod';

export interface YamlFault {
  /** Of the faulty key or value. */
  readonly path: readonly string[];
  /** The last part of the path, where it is a key that nobody knows. */
  readonly unknownKey?: string;
  readonly message: string;
}

/** The fault that says most of those that a schema found. */
export function faultIn(issues: readonly z.core.$ZodIssue[]): YamlFault {
  const issue = deepest(issues);
  const path = issue.path.map(String);
  const { message } = issue;
  if (issue.code !== 'unrecognized_keys') return { path, message };
  const unknownKey = issue.keys[0] ?? '';
  return { path: [...path, unknownKey], unknownKey, message };
}

/** Unions report their branches: the one that got furthest says most. */
function deepest(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue {
  // A key that is misspelt is also why another one is missing.
  const first = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0];
  if (first === undefined) throw new Error('a refused configuration without a reason');
  if (first.code !== 'invalid_union' || first.errors.length === 0) return first;
  const inner = first.errors.flat().sort((a, b) => b.path.length - a.path.length)[0];
  return inner === undefined || inner.path.length === 0
    ? first
    : { ...inner, path: [...first.path, ...inner.path] };
}

/** Where the key or value at `path` stands; the nearest parent that exists otherwise. */
export function offsetOf(document: Document, path: readonly string[]): number {
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
