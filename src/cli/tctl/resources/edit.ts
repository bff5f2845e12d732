import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuthClient } from '../../../api/client.ts';
import { readResource, updateResource } from '../../../api/operations/resource.ts';
import { CodedError, messageOf } from '../../../base/errors.ts';
import { parseReference } from '../../../domain/resources/registry.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { withAuth } from '../connect.ts';
import { yamlOf } from './print-documents.ts';
import { readDocuments } from './read-documents.ts';
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
    const directory = await mkdtemp(join(tmpdir(), 'tctl-edit-'));
    const file = join(directory, `${kind.kind}.yaml`);
    try {
      const before = yamlOf(document);
      await writeFile(file, before, { mode: 0o600 });
      await runEditor(file, io);
      const text = await readFile(file, 'utf8');
      if (text === before) {
        io.stdout.write(`${kind.kind} ${JSON.stringify(name)} was not changed\n`);
        await rm(directory, { recursive: true });
        return 0;
      }
      await write(auth, { text, file, name, kind: kind.kind }, io);
      await rm(directory, { recursive: true });
      return 0;
    } catch (e) {
      // What somebody typed is not thrown away with an error.
      throw new CodedError('bad_request', `${messageOf(e)}\nThe text is kept in ${file}`, { cause: e });
    }
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
  const written = await auth.call(updateResource, { document, dryRun: false }).catch((e: unknown) => {
    throw atPlace(e, placed);
  });
  printWritten(document, written, false, io);
}

/** $VISUAL, $EDITOR, else vi. @throws CodedError `bad_request` when it does not end with 0. */
async function runEditor(file: string, { env }: CliIo): Promise<void> {
  const editor = [env['VISUAL'], env['EDITOR'], 'vi'].find((one) => one !== undefined && one !== '') ?? 'vi';
  // As git does: the setting may have arguments.
  const child = spawn('/bin/sh', ['-c', `${editor} "$1"`, 'editor', file], { stdio: 'inherit' });
  const status = await new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      resolve(code ?? signal ?? 1);
    });
  });
  if (status !== 0) throw new CodedError('bad_request', `the editor (${editor}) ended with ${status}`);
}
