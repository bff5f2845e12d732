import type { Readable, Writable } from 'node:stream';
import { printableLines } from '../base/printable.ts';
import { type World, realWorld } from '../base/world.ts';

/** The terminal side of `process.stdin`, as far as it is one. */
export type InputStream = Readable & {
  readonly isTTY?: boolean | undefined;
  readonly isRaw?: boolean | undefined;
  setRawMode?(raw: boolean): unknown;
};
export type OutputStream = Writable & {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
};

/** Where a command prints. The printed text cannot control a terminal, whoever chose it. */
export interface TextOutput {
  /**
   * False: wait for `drain` before more. Line ends and tabs are printed as they are, hidden and control
   * characters as `\uXXXX`.
   */
  write(text: string): boolean;
  once(event: 'drain', listener: () => void): unknown;
  readonly isTTY: boolean;
}

/** Everything a command touches of the process it runs in. Tests pass their own. */
export interface CliIo {
  readonly stdin: InputStream;
  readonly stdout: TextOutput;
  readonly stderr: TextOutput;
  /**
   * The streams themselves, for the bytes of a session or a copy, and for code that controls the terminal on
   * purpose. Lint forbids other uses.
   */
  readonly raw: { readonly stdout: OutputStream; readonly stderr: OutputStream };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly world: World;
}

/** The only way to print: see `TextOutput`. */
const printer = (stream: OutputStream): TextOutput => ({
  write: (text) => stream.write(printableLines(text)),
  once: (event, listener) => stream.once(event, listener),
  isTTY: stream.isTTY === true,
});

export const cliIo = (
  raw: CliIo['raw'],
  { stdin, env, world }: Pick<CliIo, 'stdin' | 'env' | 'world'>,
): CliIo => ({ stdin, stdout: printer(raw.stdout), stderr: printer(raw.stderr), raw, env, world });

export const processIo = (): CliIo =>
  cliIo(
    { stdout: process.stdout, stderr: process.stderr },
    { stdin: process.stdin, env: process.env, world: realWorld },
  );
