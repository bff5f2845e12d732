import type { CliIo } from '../cli-io.ts';
import { type Commands, runCommand } from '../program.ts';
import { teleportProgram } from './program.ts';

/** Each command is loaded on demand. */
const commands: Commands = {
  start: async () => (await import('./start.ts')).start,
  status: async () => (await import('./status.ts')).status,
  configure: async () => (await import('./configure.ts')).configure,
  scp: async () => (await import('./serve-files.ts')).scp,
  'sftp-server': async () => (await import('./serve-files.ts')).sftpServer,
  'look-up-names': async () => (await import('./answer-names.ts')).lookUpNames,
  version: async () => (await import('../version-command.ts')).printVersion,
};

/** Runs teleport. Resolves to the exit status when the daemon has stopped; prints its own errors. */
export const main = (argv: readonly string[], io: CliIo): Promise<number> =>
  runCommand(teleportProgram, commands, argv, io);
