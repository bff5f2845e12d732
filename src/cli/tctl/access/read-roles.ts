import { CodedError } from '../../../base/errors.ts';
import type { ResourceDocument } from '../../../domain/resources/document.ts';
import type { CliIo } from '../../cli-io.ts';
import { inputText } from '../resources/input-text.ts';
import { readDocuments } from '../../../process/configuration/read-documents.ts';

/**
 * The roles of a file; none without one.
 * @throws CodedError `bad_request` with the place of what is no role.
 */
export async function rolesIn(file: string | undefined, io: CliIo): Promise<ResourceDocument[]> {
  if (file === undefined) return [];
  const { text, name } = await inputText(file, io);
  return readDocuments(text, name).map(({ document, place }) => {
    if (document.kind !== 'role')
      throw new CodedError('bad_request', `${place(['kind'])}: only roles are tested, not ${document.kind}`);
    return document;
  });
}
