import type { LogSink } from '../base/log-sink.ts';
import type { AcceptsVariable } from '../ssh/accepted-variables.ts';
import { parseEnvironmentFile } from '../ssh/environment-file.ts';
import type { Libc } from '../ssh/libc.ts';
import { defaultUmask } from '../ssh/login-defs.ts';
import { systemProgram, type OsUser } from '../ssh/passwd.ts';
import { lineVariables } from '../ssh/program-line.ts';
import { startProgram } from '../ssh/user-process.ts';

const maxBytes = 256 * 1024;
const limitMs = 5_000;

/**
 * Variables of `~/.tsh/environment`, those that a client might set as well: who may write in a home is not always who
 * may run anything there. The file is read by a program that runs as the user, so that a link to a file of
 * somebody else gives nothing, and a pipe that nobody fills holds nobody up.
 */
export async function readUserEnvironment(
  user: OsUser,
  { libc, accepts, sink }: { libc: Libc | undefined; accepts: AcceptsVariable; sink: LogSink },
): Promise<readonly (readonly [string, string])[]> {
  const head = systemProgram('head');
  if (head === undefined) {
    sink.warn('~/.tsh/environment is not read: the program head is not installed');
    return [];
  }
  const path = `${user.home}/.tsh/environment`;
  const reader = await startProgram({
    user,
    libc,
    umask: defaultUmask,
    program: { kind: 'plain', argv: [head, '-c', String(maxBytes), '--', path] },
    environment: lineVariables([['PATH', '/usr/bin:/bin']]).variables,
  });
  const limit = setTimeout(() => void reader.hangUp(0), limitMs);
  reader.pipes?.stdin.destroy();
  reader.pipes?.stderr.resume();
  const text = await collect(reader.pipes?.stdout);
  const ended = await reader.ended;
  clearTimeout(limit);
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
