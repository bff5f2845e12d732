import type { AuthClient } from '../../../api/client.ts';
import { listResources, readResource } from '../../../api/operations/resource.ts';
import { CodedError, isCoded } from '../../../base/errors.ts';
import type { ResourceDocument } from '../../../domain/resources/document.ts';
import {
  kindsOfResources,
  parseReference,
  type ResourceReference,
} from '../../../domain/resources/registry.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { parseMoment } from '../../duration.ts';
import { withAuth } from '../connect.ts';
import { wholeDocuments, wholeKinds } from './get-whole.ts';
import { printHistory } from './history.ts';
import { asJson, asText, asYaml } from './print-documents.ts';

/** `tctl get <kind>[/<name>][,…]`, `tctl get all`; of an earlier time with `--at` */
export async function getResources(invocation: Invocation, io: CliIo): Promise<number> {
  const asked = invocation.arg('resource') ?? '';
  const format = invocation.text('format') ?? 'yaml';
  const isWhole = invocation.on('with-secrets');
  if (isWhole && (invocation.on('history') || format === 'text'))
    throw new CodedError('bad_request', '--with-secrets prints YAML or JSON of what is now');
  if (invocation.on('history')) return printHistory(invocation, parseReference(asked), io);
  const references = referencesIn(asked, isWhole);
  if (format !== 'yaml' && new Set(references.map(({ kind }) => kind)).size > 1)
    throw new CodedError('bad_request', 'mixed resource types only support YAML formatting');
  const documents = isWhole
    ? await wholeDocuments(invocation, references, io)
    : await plainDocuments(invocation, references, io);
  io.stdout.write(textOf(documents, references, format));
  return 0;
}

function textOf(
  documents: readonly ResourceDocument[],
  [first]: readonly ResourceReference[],
  format: string,
): string {
  if (format === 'json') return asJson(documents);
  return format === 'yaml' || first === undefined ? asYaml(documents) : asText(first.kind, documents);
}

async function plainDocuments(
  invocation: Invocation,
  references: readonly ResourceReference[],
  io: CliIo,
): Promise<readonly ResourceDocument[]> {
  const time = invocation.text('at');
  const at = time === undefined ? undefined : parseMoment(time, io.world.now(), '--at');
  const isAll = isEverything(invocation.arg('resource') ?? '');
  return withAuth(invocation, io, (auth) => read(auth, references, { isAll, at }));
}

const isEverything = (asked: string): boolean => asked.trim() === 'all';

/** What a file writes into any cluster: hosts announce themselves. */
const allKinds = (): readonly ResourceReference[] =>
  kindsOfResources
    .filter(({ notWritten, notRestored }) => notWritten === undefined && notRestored === undefined)
    .map((kind) => ({ kind, name: undefined }));

function referencesIn(text: string, isWhole: boolean): readonly ResourceReference[] {
  if (isEverything(text)) return isWhole ? wholeKinds() : allKinds();
  const parts = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  if (parts.length === 0)
    throw new CodedError(
      'bad_request',
      'need what to get: a kind such as "roles", or "role/admin"; several with commas',
    );
  return parts.map(parseReference);
}

async function read(
  auth: AuthClient,
  references: readonly ResourceReference[],
  { isAll, at }: { readonly isAll: boolean; readonly at: string | undefined },
): Promise<readonly ResourceDocument[]> {
  const documents: ResourceDocument[] = [];
  for (const { kind, name } of references) {
    const input = { kind: kind.kind, ...(at !== undefined && { at }) };
    try {
      if (name === undefined) documents.push(...(await auth.call(listResources, input)).documents);
      else documents.push((await auth.call(readResource, { ...input, name })).document);
    } catch (e) {
      if (!isAll || !isCoded(e, 'access_denied')) throw e;
      throw new CodedError('access_denied', `${e.message}; "get all" takes the right to read every kind`, {
        cause: e,
      });
    }
  }
  return documents;
}
