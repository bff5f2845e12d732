import { answerNames } from '../../base/answer-names.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';

/**
 * `teleport look-up-names`: questions of the daemon that started it, until it has no more. Ends then at once:
 * an orderly end would wait for the threads of questions that nobody answers.
 */
export async function lookUpNames(_invocation: Invocation, io: CliIo): Promise<number> {
  await answerNames({ input: io.stdin, output: io.raw.stdout });
  process.kill(process.pid, 'SIGKILL');
  return 0;
}
