/** The command line with which a client starts scp at the other side. */
export interface ScpCommand {
  readonly direction: 'upload' | 'download';
  /** The program as it was named. */
  readonly program: string;
  /** The rest, as it was written: the person's shell expands it. */
  readonly rest: string;
  /** As it was written, possibly a pattern. */
  readonly path: string;
}

const flag = /^-[A-Za-z]+$/;

/**
 * Recognises `scp -t|-f [flags] [--] path`, the program with or without folders. A text that the shell would
 * read as more than one command is not recognised: it runs as any other command does.
 */
export function parseScpCommand(command: string): ScpCommand | undefined {
  const [, program, rest] = /^\s*([A-Za-z0-9_./-]+)\s+(.*)$/s.exec(command) ?? [];
  if (program === undefined || rest === undefined || !/(^|\/)scp$/.test(program)) return undefined;
  if (!oneCommand.test(rest)) return undefined;
  const words = rest.split(/\s+/);
  const end = words.findIndex((word) => !flag.test(word));
  const flags = (end < 0 ? words : words.slice(0, end)).join('');
  const upload = flags.includes('t');
  if (upload === flags.includes('f')) return undefined;
  const path = (end < 0 ? '' : words.slice(end).join(' ')).replace(/^--\s+/, '');
  return { direction: upload ? 'upload' : 'download', program, rest, path };
}

/**
 * Words that the shell reads as arguments and nothing else: plain, escaped or quoted. Source: sh(1), quoting.
 */
const oneCommand = /^(?:[^'"\\`$;&|<>()\n]|\\[^]|'[^']*'|"(?:[^"\\`$]|\\[^])*")*$/;
