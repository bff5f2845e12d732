import type { AuthClient } from '../../../api/client.ts';
import { readResource, updateResource } from '../../../api/operations/resource.ts';
import { CodedError } from '../../../base/errors.ts';
import { parseReference } from '../../../domain/resources/registry.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { withAuth } from '../connect.ts';
import { heardOrDone } from '../lost-answer.ts';
import { edited } from './edited.ts';
import { yamlOf } from './print-documents.ts';
import { readDocuments } from '../../../process/configuration/read-documents.ts';
import { atPlace, printWritten } from './write.ts';

/**
 * `tctl edit <kind>/<name>`: the resource in an editor, written when the editor ends. With its revision in
 * the file, so that a change which somebody else made meanwhile is not lost.
 */
export async function editResource(invocation: Invocation, io: CliIo): Promise<number> {
  const { kind, name } = parseReference(invocation.arg('resource') ?? '');
  if (name === undefined)
    throw new CodedError('bad_request', `need which ${kind.kind} to edit: ${kind.kind}/<name>`);
  if (kind.notWritten !== undefined) throw new CodedError('bad_request', `${kind.kind}: ${kind.notWritten}`);
  return withAuth(invocation, io, async (auth) => {
    const { document } = await auth.call(readResource, { kind: kind.kind, name });
    const ended = await edited({ text: yamlOf(document), title: kind.kind }, io.env, (text, file) =>
      write(auth, { text, file, name, kind: kind.kind }, io),
    );
    if (ended === 'unchanged') io.stdout.write(`${kind.kind} ${JSON.stringify(name)} was not changed\n`);
    return 0;
  });
}

interface Edited {
  readonly text: string;
  readonly file: string;
  readonly kind: string;
  readonly name: string;
}

async function write(auth: AuthClient, { text, file, kind, name }: Edited, io: CliIo): Promise<void> {
  const [placed, ...more] = readDocuments(text, file);
  if (placed === undefined || more.length > 0)
    throw new CodedError('bad_request', 'the text has to hold one resource');
  const { document } = placed;
  if (document.kind !== kind || document.metadata.name !== name)
    throw new CodedError(
      'bad_request',
      `this is for ${kind} ${JSON.stringify(name)}: kind and name stay as they are`,
    );
  const answer = heardOrDone(auth.call(updateResource, { document, dryRun: false }), io);
  const written = await answer.catch((e: unknown) => {
    throw atPlace(e, placed);
  });
  printWritten(document, written, false, io);
}
