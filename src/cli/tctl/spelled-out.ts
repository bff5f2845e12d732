import { CodedError } from '../../base/errors.ts';
import type { CliIo } from '../cli-io.ts';
import { openPrompter } from '../prompt.ts';

/** @throws CodedError `bad_request` when anything else is typed, or nothing. */
export async function spelledOut(io: CliIo, warning: string, phrase: string): Promise<string> {
  const prompter = openPrompter(io);
  try {
    const typed = await prompter.line(`${warning}\nType "${phrase}" to go on:`);
    if (typed.trim() === phrase) return phrase;
    throw new CodedError('bad_request', 'nothing was exported: that is not what was to be typed');
  } finally {
    prompter.close();
  }
}
