import { readFile } from 'node:fs/promises';
import { CodedError } from '../../../base/errors.ts';
import type { CliIo } from '../../cli-io.ts';

/** A file, or standard input for `-` and for no name. @throws CodedError `bad_request` */
export async function inputText(
  file: string | undefined,
  io: CliIo,
): Promise<{ readonly text: string; readonly name: string }> {
  if (file !== undefined && file !== '' && file !== '-') {
    try {
      return { text: await readFile(file, 'utf8'), name: file };
    } catch (e) {
      const { code } = e as NodeJS.ErrnoException;
      throw new CodedError('bad_request', `${file} cannot be read: ${code ?? String(e)}`, { cause: e });
    }
  }
  const chunks: Buffer[] = [];
  for await (const chunk of io.stdin) chunks.push(Buffer.from(chunk as Buffer));
  return { text: Buffer.concat(chunks).toString('utf8'), name: 'standard input' };
}
