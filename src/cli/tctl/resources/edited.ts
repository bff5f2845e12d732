import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CodedError, isCoded, messageOf } from '../../../base/errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Opens a text in the editor of whoever calls. The file of it is theirs alone, and gone afterwards, unless
 * something fails.
 * @param write what becomes of it, where it was changed. Its file is for messages.
 * @throws CodedError `bad_request`, or the code of what failed in `write`: the text is kept then, and the
 *   message says where.
 */
export async function edited(
  { text, title }: { readonly text: string; readonly title: string },
  env: Environment,
  write: (text: string, file: string) => Promise<void>,
): Promise<'written' | 'unchanged'> {
  const directory = await mkdtemp(join(env['TMPDIR'] ?? tmpdir(), 'tctl-edit-'));
  const file = join(directory, `${title}.yaml`);
  try {
    await writeFile(file, text, { mode: 0o600 });
    await runEditor(file, env);
    const after = await readFile(file, 'utf8');
    if (after !== text) await write(after, file);
    await rm(directory, { recursive: true });
    return after === text ? 'unchanged' : 'written';
  } catch (e) {
    // What somebody typed is not thrown away with an error.
    const code = isCoded(e) ? e.code : 'bad_request';
    throw new CodedError(code, `${messageOf(e)}\nThe text is kept in ${file}`, { cause: e });
  }
}

/** $VISUAL, $EDITOR, else vi. @throws CodedError `bad_request` when it does not end with 0. */
async function runEditor(file: string, env: Environment): Promise<void> {
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
