import { stringify } from 'yaml';
import type { ResourceDocument } from '../../../domain/resources/document.ts';
import type { KindOfResource } from '../../../domain/resources/kind.ts';
import { formatTable } from '../../table.ts';

/**
 * Texts such as `no` are in quotes: readers of YAML 1.1, which 4.4 and many tools are, take them for
 * booleans.
 */
export const yamlOf = (document: ResourceDocument): string => plainYaml(ordered(document));

/** The same form for anything else that is printed. */
export const plainYaml = (value: unknown): string =>
  stringify(value, {
    lineWidth: 0,
    defaultStringType: 'PLAIN',
    singleQuote: true,
    compat: 'yaml-1.1',
  });

/** Source: reference 4.4: one is printed as it is, several as documents, or as a list in JSON. */
export const asYaml = (documents: readonly ResourceDocument[]): string => documents.map(yamlOf).join('---\n');

export function asJson(documents: readonly ResourceDocument[]): string {
  const all = documents.map(ordered);
  return `${JSON.stringify(all.length === 1 ? all[0] : all, undefined, 4)}\n`;
}

export const asText = (kind: KindOfResource, documents: readonly ResourceDocument[]): string =>
  formatTable(
    kind.columns.map(([title]) => title),
    documents.map((document) => kind.columns.map(([, content]) => content(document))),
  );

/** Keys in the order in which people read them; what a kind has beside them (`status`) comes last. */
const ordered = ({ kind, sub_kind, version, metadata, spec, ...more }: ResourceDocument): object => ({
  kind,
  ...(sub_kind !== undefined && { sub_kind }),
  version,
  metadata,
  spec,
  ...more,
});
