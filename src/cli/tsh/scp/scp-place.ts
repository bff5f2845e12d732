import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError } from '../../../base/errors.ts';
import { isFolder, type Named, type Place } from '../../../transfer/scp-receive.ts';
import { type Asked, readAsked } from './scp-asked.ts';

/**
 * Where a file from a node is put: in `target` when that is a folder, else `target` is its name. Only
 * requested names are accepted: any other ends the copy.
 * @param path requested on the node: its last part may be a pattern.
 */
export async function placeFor(path: string, target: string): Promise<Place> {
  const asked = readAsked(path);
  const into = (await isFolder(target)) ? target : undefined;
  return async (record, first) => {
    checkAsked(asked, record, first);
    if (into === undefined) {
      if (first) return target;
      throw new CodedError('bad_request', `${target} is not a folder, but several files came`);
    }
    const place = join(into, record.name);
    if (asked.kind === 'home' && (await exists(place)))
      throw new CodedError(
        'access_denied',
        `the other side calls what was asked for ${JSON.stringify(record.name)}, which is there already: ` +
          'name a folder that does not exist as the destination',
      );
    return place;
  };
}

function checkAsked(asked: Asked, record: Named, first: boolean): void {
  const fits =
    asked.kind === 'names'
      ? asked.fits(record.name)
      : first && record.kind === 'directory' && !record.name.startsWith('.');
  if (!fits)
    throw new CodedError(
      'access_denied',
      `the other side sent ${JSON.stringify(record.name)}, which was not asked for`,
    );
}

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );
