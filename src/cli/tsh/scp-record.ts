import { CodedError } from '../../base/errors.ts';

/** One line of the copy protocol of rcp. */
export type ScpRecord =
  | { readonly kind: 'file'; readonly mode: number; readonly size: number; readonly name: string }
  | { readonly kind: 'directory'; readonly mode: number; readonly name: string }
  | { readonly kind: 'end' };

const fault = (why: string): CodedError =>
  new CodedError('unavailable', `the other side does not follow the copy protocol: ${why}`);

/** Set-id and sticky bits of others are not taken over. */
const modeMask = 0o777;

/**
 * Reads `C0644 12 name`, `D0755 0 name` or `E`. The name is one that stays inside the target folder.
 * @throws CodedError `unavailable` for anything else: the other side is not to be believed.
 */
export function parseRecord(line: string): ScpRecord {
  if (line === 'E') return { kind: 'end' };
  const match = /^([CD])([0-7]{4}) (\d{1,16}) (.+)$/s.exec(line);
  if (match === null) throw fault(`it sent ${JSON.stringify(line.slice(0, 60))}`);
  const [, letter, mode = '', length = '', name = ''] = match;
  const size = Number(length);
  if (!Number.isSafeInteger(size)) throw fault(`a file of ${length} bytes`);
  checkName(name);
  const bits = Number.parseInt(mode, 8) & modeMask;
  return letter === 'C' ? { kind: 'file', mode: bits, size, name } : { kind: 'directory', mode: bits, name };
}

/** @throws CodedError `unavailable` for a name that leads anywhere but into the folder it is put in. */
export function checkName(name: string): void {
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0'))
    throw fault(`it wants to write to ${JSON.stringify(name)}`);
}

const octal = (mode: number): string => (mode & modeMask).toString(8).padStart(4, '0');

export const fileRecord = (mode: number, size: number, name: string): string =>
  `C${octal(mode)} ${size} ${name}\n`;
export const directoryRecord = (mode: number, name: string): string => `D${octal(mode)} 0 ${name}\n`;
