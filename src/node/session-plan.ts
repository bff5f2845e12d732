import type { SessionRequest } from '../ssh/cert-server.ts';
import type { Program } from '../machine/program-line.ts';
import { type FilePrograms, parseScpCommand, type ScpCommand } from './file-programs.ts';

type Start = Extract<SessionRequest, { type: 'shell' | 'exec' | 'subsystem' }>;

/** What a session runs. */
export type Plan = {
  readonly program: Program;
  /** As the client requested it, or as its certificate forces it; empty for a shell. */
  readonly command: string;
  /** What the client requested, when its certificate forces something else. */
  readonly original: string | undefined;
} & ({ readonly kind: 'shell' | 'exec' | 'sftp' } | { readonly kind: 'scp'; readonly scp: ScpCommand });

/** Undefined for an unknown subsystem. */
export function planOf(
  request: Start,
  forceCommand: string | undefined,
  programs: FilePrograms,
): Plan | undefined {
  if (forceCommand !== undefined) {
    const asked =
      request.type === 'exec' ? request.command : request.type === 'subsystem' ? request.name : undefined;
    return { ...commandPlan(forceCommand, programs), original: asked };
  }
  switch (request.type) {
    case 'shell':
      return { kind: 'shell', program: { kind: 'login-shell' }, command: '', original: undefined };
    case 'exec':
      return commandPlan(request.command, programs);
    case 'subsystem':
      return request.name === 'sftp'
        ? { kind: 'sftp', program: line(programs.sftp), command: 'sftp', original: undefined }
        : undefined;
  }
}

const line = (command: string): Program => ({ kind: 'command', command });

/**
 * A command line that runs an sftp server and nothing else, as `sftp -s PATH` requests it, or a certificate
 * forces it: its transfers are recorded like those of the subsystem. `internal-sftp` is sshd's name for its
 * own.
 */
const sftpServerLine = /^(?:\/[\w./-]*)?sftp-server(?: [\w ./=,-]*)?$/;

function commandPlan(command: string, programs: FilePrograms): Plan {
  if (command === 'internal-sftp' || sftpServerLine.test(command)) {
    const served = command === 'internal-sftp' ? programs.sftp : command;
    return { kind: 'sftp', program: line(served), command, original: undefined };
  }
  const scp = parseScpCommand(command);
  return scp === undefined
    ? { kind: 'exec', program: line(command), command, original: undefined }
    : { kind: 'scp', program: line(programs.scp(scp)), command, original: undefined, scp };
}
