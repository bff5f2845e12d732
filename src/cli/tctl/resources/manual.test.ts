import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { kindsOfResources } from '../../../domain/resources/registry.ts';
import { readDocuments } from '../../../process/configuration/read-documents.ts';

const manual = readFileSync('docs/resources.md', 'utf8');

it('each kind that files write has an example in the manual that is read', () => {
  const examples = [...manual.matchAll(/```yaml\n([^]*?)```/g)].flatMap(([, text = ''], i) =>
    readDocuments(text, `example ${i}`).map(({ document }) => document.kind),
  );
  const written = kindsOfResources.filter(({ notWritten }) => notWritten === undefined);
  expect(examples.sort()).toEqual(written.map(({ kind }) => kind).sort());
});

it('the manual has every name of every kind', () => {
  const missing = kindsOfResources
    .flatMap(({ kind, aliases }) => [kind, ...aliases])
    .filter((name) => !manual.includes(`\`${name}\``));
  expect(missing).toEqual([]);
});
