import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { CodedError, messageOf } from '../../base/errors.ts';
import { parseYaml } from './config-file.ts';
import { directoryLocation, keySourceOf, storageLocationOf, storageSection } from './storage-schema.ts';
import type { KeySource, StorageLocation } from './storage-schema.ts';

/** A file that names a store: a whole teleport.yaml, or only its `storage:` mapping. */
const storageFile = z
  .looseObject({
    storage: storageSection.optional(),
    teleport: z
      .looseObject({ data_dir: z.string().optional(), storage: storageSection.optional() })
      .optional(),
  })
  .transform(({ storage, teleport }, context) => {
    const section = storage ?? teleport?.storage;
    if (section !== undefined) return { section, dataDir: teleport?.data_dir };
    context.addIssue({ code: 'custom', message: 'there is no storage: section' });
    return z.NEVER;
  });

/**
 * A store as a command line names it: `dir:/path`, or the path of a file with a `storage:` section.
 * @throws CodedError `misconfigured` with file, line, column and field.
 */
export function readStorage(text: string): { readonly location: StorageLocation; readonly keys: KeySource } {
  const directory = directoryLocation(text);
  if (directory) return { location: directory, keys: { status: 'data-dir' } };
  const { section, dataDir } = parseYaml(read(text), text, storageFile);
  if (section.type === 'dir' && section.path === undefined && dataDir === undefined)
    throw new CodedError('misconfigured', `${text}: storage: path is missing`);
  return {
    location: storageLocationOf(section, `${dataDir ?? ''}/backend`),
    keys: keySourceOf(section),
  };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (e) {
    throw new CodedError(
      'misconfigured',
      `${path}: name a store as dir:/path, or by a file with a storage: section (${messageOf(e)})`,
      { cause: e },
    );
  }
}
