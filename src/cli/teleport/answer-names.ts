import { answerNames } from '../../base/answer-names.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';

/**
 * `teleport look-up-names`: serves lookups of the daemon that started it, until its input ends. Then it ends
 * at once: an orderly end would wait for the threads of lookups that get no reply.
 */
export async function lookUpNames(_invocation: Invocation, io: CliIo): Promise<number> {
  await answerNames({ input: io.stdin, output: io.raw.stdout });
  process.kill(process.pid, 'SIGKILL');
  return 0;
}
