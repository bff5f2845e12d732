import { existsSync } from 'node:fs';
import { systemProgram } from '../machine/passwd.ts';
import { shellQuote } from '../base/shell-quote.ts';
import { parseScpCommand, type ScpCommand } from '../transfer/scp-command.ts';

const sftpServers = [
  '/usr/lib/openssh/sftp-server',
  '/usr/libexec/openssh/sftp-server',
  '/usr/libexec/sftp-server',
  '/usr/lib/ssh/sftp-server',
  '/usr/lib/sftp-server',
];

/** Which programs move files. */
export interface FilePrograms {
  /** Command line of the sftp subsystem. */
  readonly sftp: string;
  /** The command line to run for a requested copy. */
  scp(asked: ScpCommand): string;
}

/**
 * OpenSSH's programs where they are installed, else our own (`programPath` runs them). `own` takes our own in
 * any case.
 */
export function findFilePrograms(programPath: readonly string[], own: boolean): FilePrograms {
  const prefix = programPath.map(shellQuote).join(' ');
  const sftpServer = own ? undefined : sftpServers.find((path) => existsSync(path));
  const scp = own ? undefined : systemProgram('scp');
  return {
    sftp: sftpServer ?? `${prefix} sftp-server`,
    scp: ({ rest }) => `${scp ?? `${prefix} scp --`} ${rest}`,
  };
}

export { parseScpCommand };
export type { ScpCommand };
