import type { CliIo, OutputStream } from './cli-io.ts';

/** Of the runtime's handle on a terminal; not in its types. */
interface BlockingHandle {
  setBlocking?(blocking: boolean): number;
}

/**
 * Until the returned function is called, writing to a terminal is asynchronous, as writing to a pipe is. By
 * default the runtime blocks in the write: with a terminal that is stopped (^S) or whose program does not
 * read, no signal would be handled any more. The open file is our own, opened by the runtime for this, so
 * nobody else's writes change.
 */
export function writeBesides({ raw: { stdout, stderr } }: CliIo): () => void {
  const terminals = [stdout, stderr].filter((stream) => stream.isTTY === true).map(handleOf);
  for (const handle of terminals) handle?.setBlocking?.(false);
  return () => {
    for (const handle of terminals) handle?.setBlocking?.(true);
  };
}

const handleOf = (stream: OutputStream): BlockingHandle | undefined =>
  (stream as unknown as { _handle?: BlockingHandle | null })._handle ?? undefined;
