import { existsSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Operation } from '../api/operation.ts';
import { resourceKinds, ruleVerbs } from '../domain/rule-subjects.ts';
import { useCases } from './implementations.ts';

interface Row {
  /** The file of `api/operations` that it is in. */
  readonly file: string;
  /** What it is called there. */
  readonly called: string;
  readonly operation: Operation;
}

const isRow = (value: unknown): value is Operation =>
  typeof value === 'object' && value !== null && 'who' in value && 'output' in value;

async function allRows(): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const name of readdirSync(new URL('../api/operations/', import.meta.url))) {
    if (name.endsWith('.test.ts')) continue;
    const file = name.replace(/\.ts$/, '');
    const exported = (await import(`../api/operations/${file}.ts`)) as Record<string, unknown>;
    for (const [called, operation] of Object.entries(exported))
      if (isRow(operation)) rows.push({ file, called, operation });
  }
  return rows;
}
const rows = await allRows();

/** Names on the wire stay as they are; these are filed with the subject under which people look for them. */
const filedUnder: Readonly<Record<string, string>> = { request: 'log' };
const subjectOf = ({ name }: Operation): string => {
  const subject = name.slice(0, name.indexOf('.'));
  return filedUnder[subject] ?? subject;
};
const kebab = (text: string): string => text.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

describe('the contract', () => {
  it('has one use case for each row', () => {
    const done = useCases.map(({ operation }) => operation.name).sort();
    expect(done).toEqual(rows.map(({ operation }) => operation.name).sort());
    expect(new Set(done).size).toBe(done.length);
  });

  it.each(rows.map((row) => [row.operation.name, row] as const))(
    'has %s where its name leads to, row and use case',
    async (_name, { file, called, operation }) => {
      const subject = subjectOf(operation);
      expect(file === subject || file.startsWith(`${subject}-`), `operations/${file}.ts`).toBe(true);
      const path = `./${subject}/${kebab(called)}.ts`;
      expect(existsSync(new URL(path, import.meta.url)), path).toBe(true);
      const exported = (await import(path)) as Record<string, { readonly operation?: Operation } | undefined>;
      expect(exported[called]?.operation).toBe(operation);
    },
  );

  it.each(rows.map((row) => [row.operation.name, row] as const))(
    'names what a rule of a role would have to name for %s',
    (_name, { operation: { resource, verb } }) => {
      const kinds = typeof resource === 'string' ? [resource] : resource;
      expect(kinds.length > 0 && kinds.every((kind) => resourceKinds.includes(kind))).toBe(true);
      expect(ruleVerbs).toContain(verb);
    },
  );

  it('shows people of other clusters nodes, and nothing else', () => {
    const open = rows.filter(({ operation: { who } }) => who.includes('foreign'));
    expect(open.map(({ operation: { name } }) => name)).toEqual(['host.list']);
  });

  it('may ask again for whatever only reads', () => {
    const reading = rows.filter(({ operation: { verb } }) => verb === 'list' || verb.startsWith('read'));
    expect(reading.filter(({ operation }) => operation.repeatable !== true)).toEqual([]);
  });
});
