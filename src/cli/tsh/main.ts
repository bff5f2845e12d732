import { basename } from 'node:path';
import { type CliIo, processIo } from '../cli-io.ts';
import { type Commands, runCommand } from '../program.ts';
import { tshProgram } from './program.ts';

/** Each command is loaded on demand: none pays for another's packages. */
const commands: Commands = {
  version: async () => (await import('../version-command.ts')).printVersion,
  login: async () => (await import('./login/login-command.ts')).loginCommand,
  logout: async () => (await import('./login/logout-command.ts')).logoutCommand,
  status: async () => (await import('./login/status-command.ts')).statusCommand,
  env: async () => (await import('./env-command.ts')).envCommand,
  config: async () => (await import('./config-command.ts')).configCommand,
  passwd: async () => (await import('./own/passwd-command.ts')).passwdCommand,
  'mfa ls': async () => (await import('./own/mfa-commands.ts')).listDevicesCommand,
  'mfa add': async () => (await import('./own/mfa-commands.ts')).addDeviceCommand,
  ls: async () => (await import('./cluster/ls-command.ts')).lsCommand,
  clusters: async () => (await import('./cluster/clusters-command.ts')).clustersCommand,
  'sessions ls': async () => (await import('./cluster/sessions-command.ts')).sessionsCommand,
  join: async () => (await import('./join/join-command.ts')).joinCommand,
  ssh: async () => (await import('./ssh/ssh-command.ts')).sshCommand,
  'proxy ssh': async () => (await import('./ssh/proxy-ssh-command.ts')).proxySshCommand,
  play: async () => (await import('./play/play-command.ts')).playCommand,
  'recordings ls': async () => (await import('./play/recordings-command.ts')).listRecordingsCommand,
  scp: async () => (await import('./scp/scp-command.ts')).scpCommand,
};

/**
 * Runs tsh. Resolves to the exit status; prints its own errors. When the program's name is `ssh` or `scp` (a
 * symbolic link), that command is implied.
 */
export function main(argv: readonly string[], io: CliIo = processIo(), calledAs = 'tsh'): Promise<number> {
  const name = basename(calledAs);
  const implied = name === 'ssh' || name === 'scp' ? [name, ...argv] : argv;
  return runCommand(tshProgram, commands, implied, io);
}
