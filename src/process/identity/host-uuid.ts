import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError } from '../../base/errors.ts';
import { writeFileAtomic } from '../../base/files.ts';
import type { World } from '../../base/world.ts';

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** This machine's id in the cluster for ever: `<data_dir>/host_uuid`, made on first start. */
export function hostUuid(dataDir: string, world: World): string {
  const path = join(dataDir, 'host_uuid');
  const stored = readOptional(path)?.trim();
  if (stored === undefined) {
    const made = world.uuid();
    writeFileAtomic(path, made, 0o400);
    return made;
  }
  if (!uuidForm.test(stored))
    throw new CodedError(
      'misconfigured',
      `${path} does not hold a UUID: restore it, or remove it to give this machine a new name`,
    );
  return stored;
}

/** The text of a file; undefined when there is none. */
export function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw e;
  }
}
