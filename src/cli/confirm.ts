import { CodedError } from '../base/errors.ts';
import type { CliIo } from './cli-io.ts';
import { ExitStatus } from './errors.ts';
import { openPrompter } from './prompt.ts';

/**
 * Asks before an action that is hard to undo. Returns when the person answers yes, or `yes` was given.
 * @param what that is about to happen, as a question: `Move the log?`
 * @throws CodedError `bad_request` without a terminal to ask at; ExitStatus 1 when the person does not answer
 *   yes.
 */
export async function confirm(io: CliIo, what: string, yes: boolean): Promise<void> {
  if (yes) return;
  if (io.stdin.isTTY !== true)
    throw new CodedError(
      'bad_request',
      'nothing was changed: there is no terminal to ask at, and --yes was not given',
    );
  const prompter = openPrompter(io);
  try {
    const answer = (await prompter.line(`${what} [y/N]`)).trim().toLowerCase();
    if (answer !== 'y' && answer !== 'yes') throw new ExitStatus(1, 'nothing was changed');
  } finally {
    prompter.close();
  }
}
