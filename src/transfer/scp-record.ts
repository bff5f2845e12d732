import { CodedError } from '../base/errors.ts';

/** One line of the copy protocol of rcp and scp. */
export type ScpRecord =
  | { readonly kind: 'file'; readonly mode: number; readonly size: number; readonly name: string }
  | { readonly kind: 'directory'; readonly mode: number; readonly name: string }
  /** For the next record, in seconds since 1970. */
  | { readonly kind: 'times'; readonly modified: number; readonly accessed: number }
  | { readonly kind: 'end' };

/** The other side breaks the protocol. */
export const protocolFault = (why: string): CodedError =>
  new CodedError('unavailable', `the other side does not follow the copy protocol: ${why}`);

const MODE_BITS = 0o7777;

/**
 * Reads one line, without its newline: `C0644 12 name`, `D0755 0 name`, `T1 0 1 0` or `E`. The name is one
 * that stays inside the folder it is put in.
 * @throws CodedError `unavailable` for anything else.
 */
export function parseScpRecord(line: string): ScpRecord {
  if (line === 'E') return { kind: 'end' };
  const times = /^T(\d{1,12}) \d{1,6} (\d{1,12}) \d{1,6}$/.exec(line);
  if (times !== null) return { kind: 'times', modified: Number(times[1]), accessed: Number(times[2]) };
  const match = /^([CD])([0-7]{4}) (\d{1,16}) (.+)$/s.exec(line);
  if (match === null) throw protocolFault(`it sent ${JSON.stringify(line.slice(0, 60))}`);
  const [, letter, mode = '', length = '', name = ''] = match;
  const size = Number(length);
  if (!Number.isSafeInteger(size)) throw protocolFault(`a file of ${length} bytes`);
  if (name === '.' || name === '..' || /[/\0]/.test(name))
    throw protocolFault(`it wants to write to ${JSON.stringify(name)}`);
  const bits = Number.parseInt(mode, 8) & MODE_BITS;
  return letter === 'C' ? { kind: 'file', mode: bits, size, name } : { kind: 'directory', mode: bits, name };
}

const octal = (mode: number): string => (mode & MODE_BITS).toString(8).padStart(4, '0');

/** The same line, with its newline. */
export function formatScpRecord(record: ScpRecord): string {
  switch (record.kind) {
    case 'file':
      return `C${octal(record.mode)} ${record.size} ${record.name}\n`;
    case 'directory':
      return `D${octal(record.mode)} 0 ${record.name}\n`;
    case 'times':
      return `T${record.modified} 0 ${record.accessed} 0\n`;
    case 'end':
      return 'E\n';
  }
}
