import { StringDecoder } from 'node:string_decoder';
import { CodedError, messageOf } from '../base/errors.ts';
import { printableLines } from '../base/printable.ts';
import type { CliIo, InputStream } from './cli-io.ts';
import { ExitStatus } from './errors.ts';
import { watchInterruption } from './interruption.ts';
import { type Edited, LineEditor } from './line-editor.ts';

/** Asks a person, or reads the answers line by line from a pipe. Close it, so that it releases stdin. */
export interface Prompter {
  /** True when a person sits at a terminal. */
  readonly interactive: boolean;
  /**
   * Prints `label` on a line of its own and reads a line that is not shown. @throws CodedError `bad_request`
   * at the end of input.
   */
  hidden(label: string): Promise<string>;
  /** The same, but shown while typed. */
  line(label: string): Promise<string>;
  close(): void;
}

const interruptedStatus = 130;

/** What was read of an input that has ended, and was not used. */
const aheadOf = new WeakMap<InputStream, string>();

/** Of the streams as they are, since what is typed is shown, erased and overwritten there. */
type Terminal = Pick<CliIo, 'stdin'> & { readonly raw: Pick<CliIo['raw'], 'stderr'> };

/**
 * Prompts go to stderr, so that stdout contains only the requested output; no label can control the terminal.
 * There the line is read in raw mode, which is reset in every case; ^C ends the program with 130, a signal n
 * with 128 + n. Lines typed or piped ahead are kept for the next question, and the rest at `close` is put
 * back into stdin, or kept for its next prompter where it has ended.
 */
export function openPrompter(io: Terminal): Prompter {
  const input = io.stdin;
  const output = io.raw.stderr;
  const decoder = new StringDecoder('utf8');
  const interactive = input.isTTY === true;
  let shown = false;
  let ahead = aheadOf.get(input) ?? '';
  aheadOf.delete(input);
  const editor = new LineEditor(interactive, (text) => {
    if (shown && interactive) output.write(text);
  });

  async function ask(label: string, show: boolean): Promise<string> {
    shown = show;
    const question = printableLines(`${label}\n`);
    const first = ahead;
    ahead = '';
    if (!interactive) {
      output.write(question);
      return readLine(input, { editor, decoder, first });
    }
    const interruption = watchInterruption();
    output.write(question);
    input.setRawMode?.(true);
    try {
      return await Promise.race([readLine(input, { editor, decoder, first }), interruption.signalled]);
    } finally {
      interruption.stop();
      input.setRawMode?.(false);
      output.write('\n');
    }
  }

  return {
    interactive,
    hidden: (label) => ask(label, false),
    line: (label) => ask(label, true),
    close: () => {
      const rest = `${editor.rest()}${ahead}`;
      if (rest === '') return;
      // Nothing can be put back into a stream that has ended.
      if (input.readableEnded) aheadOf.set(input, rest);
      else input.unshift(Buffer.from(rest));
    },
  };
}

interface Reading {
  readonly editor: LineEditor;
  readonly decoder: StringDecoder;
  /** Input that came before. */
  readonly first: string;
}

function readLine(input: InputStream, { editor, decoder, first }: Reading): Promise<string> {
  return new Promise((resolve, reject) => {
    const finish = (): void => {
      input.off('data', onData).off('end', onEnd).off('error', onError).pause();
    };
    const settle = (edited: Edited): boolean => {
      if (edited.kind === 'more') return false;
      finish();
      if (edited.kind === 'line') resolve(edited.line);
      else if (edited.kind === 'interrupt') reject(new ExitStatus(interruptedStatus));
      else reject(new CodedError('bad_request', 'the input ended where an answer was expected'));
      return true;
    };
    const onData = (chunk: Buffer | string): void => {
      settle(editor.feed(typeof chunk === 'string' ? chunk : decoder.write(chunk)));
    };
    const onEnd = (): void => {
      settle(editor.end());
    };
    const onError = (e: Error): void => {
      finish();
      const why = `standard input cannot be read: ${messageOf(e)}`;
      reject(new CodedError('bad_request', why, { cause: e }));
    };
    if (settle(editor.feed(first))) return;
    input.on('data', onData).on('end', onEnd).on('error', onError);
    if (input.readableEnded || input.destroyed) onEnd();
    else input.resume();
  });
}
