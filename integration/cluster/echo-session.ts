import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { PeopleCluster } from '../harness/people.ts';
import { until } from '../harness/run-program.ts';
import { login } from './rotating-cluster.ts';

/** A session that prints a line for each line that it is sent, as long as it lives. */
export interface EchoSession {
  /** Sends a word and waits for it to come back. */
  echo(word: string): Promise<void>;
  /** How it ended; undefined while it lives. */
  ended(): string | undefined;
  close(): void;
}

/** @param flags more of `tsh ssh`. */
export function openEchoSession(
  people: PeopleCluster,
  person: string,
  node: string,
  flags: readonly string[] = [],
): EchoSession {
  const child: ChildProcess = spawn(join('bin', 'tsh'), ['ssh', ...flags, `${login}@${node}`, 'cat'], {
    env: people.env(person),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let output = '';
  let end: string | undefined;
  child.stdout?.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr?.on('data', (data: Buffer) => (output += data.toString()));
  child.stdin?.on('error', () => undefined); // how it ended is what counts
  child.once('exit', (code, signal) => (end = `exit ${String(code ?? signal)}: ${output.slice(-300)}`));
  return {
    echo: async (word) => {
      child.stdin?.write(`${word}\n`);
      await until(`the session on ${node} to echo ${word}`, () => {
        if (end !== undefined) throw new Error(`the session on ${node} ended: ${end}`);
        return output.includes(word) ? true : undefined;
      });
    },
    ended: () => end,
    close: () => child.kill('SIGKILL'),
  };
}
