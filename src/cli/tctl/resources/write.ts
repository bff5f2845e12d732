import type { AuthClient } from '../../../api/client.ts';
import { createResource, updateResource } from '../../../api/operations/resource.ts';
import type { OutputOf } from '../../../api/operation.ts';
import { CodedError, isCoded } from '../../../base/errors.ts';
import type { PlacedDocument, ResourceDocument } from '../../../domain/resources/document.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { withAuth } from '../connect.ts';
import { heardOrDone } from '../lost-answer.ts';
import { differenceOf } from './difference.ts';
import { inputText } from './input-text.ts';
import { yamlOf } from './print-documents.ts';
import { readDocuments } from '../../../process/configuration/read-documents.ts';

export type Written = OutputOf<typeof updateResource>;

/** `tctl create [-f] [--dry-run] [file]` */
export async function createResources(invocation: Invocation, io: CliIo): Promise<number> {
  const { text, name } = await inputText(invocation.arg('filename'), io);
  const documents = readDocuments(text, name);
  if (documents.length === 0)
    throw new CodedError('bad_request', `${name}: no resources found, empty input?`);
  const how = { force: invocation.on('force'), dryRun: invocation.on('dry-run') };
  return withAuth(invocation, io, async (auth) => {
    for (const one of documents) {
      const { document } = one;
      const written = await heardOrDone(put(auth, one, how), io);
      printWritten(document, written, how.dryRun, io);
    }
    return 0;
  });
}

interface How {
  /** Overwrites what is there. */
  readonly force: boolean;
  readonly dryRun: boolean;
}

async function put(auth: AuthClient, placed: PlacedDocument, { force, dryRun }: How): Promise<Written> {
  const { document } = placed;
  try {
    return await auth.call(createResource, { document, dryRun });
  } catch (e) {
    if (!force || !isCoded(e, 'already_exists')) throw atPlace(e, placed);
  }
  return auth.call(updateResource, { document, dryRun }).catch((e: unknown) => {
    throw atPlace(e, placed);
  });
}

/** What the auth server found wrong in a document, with its place in the file. */
export function atPlace(e: unknown, { place }: PlacedDocument): unknown {
  if (!isCoded(e) || !['bad_request', 'already_exists', 'not_found', 'conflict'].includes(e.code)) return e;
  const named = /^((?:spec|metadata|kind|version)[\w.[\]-]*): /.exec(e.message)?.[1];
  const path = named === undefined ? [] : named.split(/[.[\]]+/).filter((part) => part !== '');
  return new CodedError(e.code, `${place(path)}: ${e.message}`, { cause: e });
}

/** `written` is undefined where the answer was lost. */
export function printWritten(
  { kind, metadata }: ResourceDocument,
  written: Written | undefined,
  dryRun: boolean,
  io: CliIo,
): void {
  const what = `${kind} ${JSON.stringify(metadata.name)}`;
  if (written === undefined) {
    io.stdout.write(`${what} has been written\n`);
    return;
  }
  const { status, before, after, notices } = written;
  io.stdout.write(`${what} ${said(status, dryRun)}\n`);
  if (before !== undefined && status === 'updated')
    io.stdout.write(differenceOf(comparable(before), comparable(after)));
  for (const notice of notices) io.stderr.write(`${notice}\n`);
}

/** The revision says only that something changed. */
const comparable = ({ metadata, ...rest }: ResourceDocument): string =>
  yamlOf({ ...rest, metadata: { ...metadata, revision: undefined } });

function said(status: Written['status'], dryRun: boolean): string {
  if (status === 'unchanged') return dryRun ? 'would stay as it is' : 'is as the file says already';
  return dryRun ? `would be ${status}` : `has been ${status}`;
}
