import type { Invocation } from './args.ts';
import type { CliIo } from './cli-io.ts';
import { versionLine } from './version-line.ts';

/** `version`: one line on standard output. */
export function printVersion(_invocation: Invocation, io: CliIo): Promise<number> {
  io.stdout.write(`${versionLine()}\n`);
  return Promise.resolve(0);
}
