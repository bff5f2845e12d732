/** The records of the copy protocol of rcp and scp. */

export type ScpRecord =
  | { readonly kind: 'file'; readonly mode: number; readonly size: number; readonly name: string }
  | { readonly kind: 'directory'; readonly mode: number; readonly name: string }
  | { readonly kind: 'times'; readonly modified: number; readonly accessed: number }
  | { readonly kind: 'end' };

/** The other side does not follow the protocol, or wants to write elsewhere. The message is for the person. */
export class ScpFault extends Error {}

const MODE_BITS = 0o7777;

/**
 * Reads one line, without its newline: `C0644 12 name`, `D0755 0 name`, `T1 0 1 0` or `E`.
 * @throws ScpFault for anything else, and for a name that is not one plain part of a path.
 */
export function parseScpRecord(line: string): ScpRecord {
  if (line === 'E') return { kind: 'end' };
  const times = /^T(\d{1,12}) \d{1,6} (\d{1,12}) \d{1,6}$/.exec(line);
  if (times !== null) return { kind: 'times', modified: Number(times[1]), accessed: Number(times[2]) };
  const match = /^([CD])([0-7]{4}) (\d{1,16}) (.+)$/s.exec(line);
  if (match === null) throw new ScpFault('protocol error: bad record');
  const [, letter, mode = '', length = '', name = ''] = match;
  const size = Number(length);
  if (!Number.isSafeInteger(size)) throw new ScpFault('protocol error: bad size');
  checkName(name);
  const bits = Number.parseInt(mode, 8) & MODE_BITS;
  return letter === 'C' ? { kind: 'file', mode: bits, size, name } : { kind: 'directory', mode: bits, name };
}

function checkName(name: string): void {
  if (name === '.' || name === '..' || /[/\0]/.test(name))
    throw new ScpFault(`unexpected filename: ${JSON.stringify(name)}`);
}

const octal = (mode: number): string => (mode & MODE_BITS).toString(8).padStart(4, '0');

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
