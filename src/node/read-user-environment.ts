import type { LogSink } from '../base/log-sink.ts';
import { startTimer, stopTimer } from '../base/timers.ts';
import type { AcceptsVariable } from '../machine/accepted-variables.ts';
import { parseEnvironmentFile } from '../machine/environment-file.ts';
import { defaultUmask } from '../machine/login-defs.ts';
import { systemProgram, type OsUser } from '../machine/passwd.ts';
import { lineVariables } from '../machine/program-line.ts';
import { type ProgramStart, startProgram } from '../machine/user-process.ts';

const maxBytes = 256 * 1024;
const limitMs = 5_000;

export interface EnvironmentReading extends Pick<ProgramStart, 'starter' | 'of' | 'unwanted'> {
  readonly accepts: AcceptsVariable;
  readonly sink: LogSink;
}

/**
 * Variables of `~/.tsh/environment`, limited to those that a client may set as well: a person who can write
 * in a home is not always one who may run anything there. The file is read by a program that runs as the
 * user, so that a link to somebody else's file reveals nothing, and a pipe that nobody writes to blocks
 * nobody.
 */
export async function readUserEnvironment(
  user: OsUser,
  { accepts, sink, ...turn }: EnvironmentReading,
): Promise<readonly (readonly [string, string])[]> {
  const head = systemProgram('head');
  if (head === undefined) {
    sink.warn('~/.tsh/environment is not read: the program head is not installed');
    return [];
  }
  const path = `${user.home}/.tsh/environment`;
  const reader = await startProgram({
    user,
    ...turn,
    umask: defaultUmask,
    program: { kind: 'plain', argv: [head, '-c', String(maxBytes), '--', path] },
    environment: lineVariables([['PATH', '/usr/bin:/bin']]).variables,
  });
  const limit = startTimer(() => void reader.hangUp(0), limitMs);
  reader.pipes?.stdin.destroy();
  reader.pipes?.stderr.resume();
  const text = await collect(reader.pipes?.stdout);
  const ended = await reader.ended;
  stopTimer(limit);
  // Most people have no such file.
  if (ended.status !== 'exited' || ended.code !== 0) return [];
  const { variables, complaints } = parseEnvironmentFile(text, accepts);
  if (complaints.length > 0) sink.info(`${path}: some lines do not count`, { complaints });
  return variables;
}

async function collect(stream: AsyncIterable<unknown> | undefined): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream ?? []) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
