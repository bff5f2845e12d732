import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { CodedError, isCoded } from '../../base/errors.ts';
import type { BootstrapFile } from '../../auth/restore/bootstrap-file.ts';
import { readDocuments } from './read-documents.ts';

/**
 * Reads the file of `--bootstrap` when it is called: a start on a store with a cluster does not need it.
 * @throws CodedError `misconfigured` with file, line and column of the first fault.
 */
export const bootstrapFrom = (path: string) => async (): Promise<BootstrapFile> => {
  const text = await readText(path);
  const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
  try {
    const documents = readDocuments(text, path, 'bootstrap');
    if (documents.length > 0) return { digest, documents };
  } catch (e) {
    throw isCoded(e, 'bad_request') ? new CodedError('misconfigured', e.message, { cause: e }) : e;
  }
  throw new CodedError('misconfigured', `${path}: no resources found, empty input?`);
};

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (e) {
    const { code } = e as NodeJS.ErrnoException;
    throw new CodedError(
      'misconfigured',
      `--bootstrap: ${path} cannot be read (${code ?? String(e)}), and the store is empty`,
      { cause: e },
    );
  }
}
