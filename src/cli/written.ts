import type { TextOutput } from './cli-io.ts';

/** Prints, and waits until whoever reads it has kept up. */
export async function written(output: TextOutput, text: string): Promise<void> {
  if (!output.write(text)) await new Promise<void>((resolve) => output.once('drain', resolve));
}
