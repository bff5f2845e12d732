import type { CliIo } from '../cli-io.ts';
import { type Commands, runCommand } from '../program.ts';
import { accessCommands } from './access/access-commands.ts';
import { authCommands } from './auth/auth-commands.ts';
import { inventoryCommands } from './inventory-commands.ts';
import { recordingCommands } from './recordings/recording-commands.ts';
import { requestCommands } from './requests/request-commands.ts';
import { resourceCommands } from './resources/resource-commands.ts';
import { tctlProgram } from './program.ts';
import { sessionCommands } from './session-commands.ts';
import { userCommands } from './user-commands.ts';

/** Each command is loaded on demand. */
const commands: Commands = {
  status: async () => (await import('./status.ts')).status,
  ...userCommands,
  lock: async () => (await import('./locks.ts')).lock,
  'locks ls': async () => (await import('./locks.ts')).listLocks,
  unlock: async () => (await import('./locks.ts')).unlock,
  'nodes add': async () => (await import('./new-token.ts')).addNode,
  'tokens add': async () => (await import('./new-token.ts')).addToken,
  'tokens ls': async () => (await import('./tokens.ts')).listTokens,
  'tokens rm': async () => (await import('./tokens.ts')).removeToken,
  'nodes ls': async () => (await import('./nodes.ts')).listNodes,
  'nodes rm': async () => (await import('./nodes.ts')).removeNode,
  'events ls': async () => (await import('./events.ts')).listEvents,
  'log tail': async () => (await import('./log/log-tail.ts')).tailLog,
  'log recover': async () => (await import('./log/log-recover.ts')).recover,
  'log info': async () => (await import('./log/log-info.ts')).showLogInfo,
  'log verify': async () => (await import('./log/log-verify.ts')).verifyLog,
  'log export': async () => (await import('./log/log-export.ts')).exportLog,
  'log import': async () => (await import('./log/log-import.ts')).importLog,
  'log move': async () => (await import('./log/log-move.ts')).moveLog,
  'log promote': async () => (await import('./log/log-promote.ts')).promoteLog,
  'log copy': async () => (await import('./log/log-copy.ts')).copyLog,
  'log rekey': async () => (await import('./log/log-rekey.ts')).rekeyLog,
  ...authCommands,
  ...resourceCommands,
  ...accessCommands,
  ...inventoryCommands,
  ...requestCommands,
  ...sessionCommands,
  ...recordingCommands,
  doctor: async () => (await import('./doctor.ts')).examine,
  version: async () => (await import('../version-command.ts')).printVersion,
};

/** Runs tctl. Resolves to the exit status; prints its own errors. */
export const main = (argv: readonly string[], io: CliIo): Promise<number> =>
  runCommand(tctlProgram, commands, argv, io);
