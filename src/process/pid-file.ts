import { rmSync } from 'node:fs';
import { writeFileAtomic } from '../base/files.ts';
import { readOptional } from './host-uuid.ts';

/** Digits only, written when everything serves. */
export function writePidFile(path: string | undefined): void {
  if (path !== undefined) writeFileAtomic(path, String(process.pid), 0o644);
}

/** Only our own: a successor may have taken the file over. */
export function removePidFile(path: string | undefined): void {
  if (path !== undefined && readOptional(path)?.trim() === String(process.pid)) rmSync(path);
}
