import { CodedError, messageOf } from '../../../base/errors.ts';
import type { ExitStatus as RemoteExit } from '../../../ssh/channel-types.ts';
import type { ClientSession } from '../../../ssh/cert-client.ts';
import type { Progress } from '../../../transfer/scp-send.ts';
import type { ScpStream } from '../../../transfer/scp-stream.ts';

/** What is still to be copied, tracked during a copy in case it is interrupted. */
export interface Left {
  /** To be called during the copy. */
  readonly progress: Progress;
  /** Names of everything that was not completely copied, in order. */
  names(): readonly string[];
}

/** For sources here: `waiting` loses its first name each time one is done. */
export function leftHere(waiting: readonly string[]): Left {
  let at = '';
  return {
    progress: (path) => {
      at = path;
    },
    names: () => {
      const [first, ...rest] = waiting;
      if (first === undefined) return [];
      const inside = at.startsWith(`${first.replace(/\/+$/, '')}/`);
      return [inside ? `${first}, from ${at} on` : first, ...rest];
    },
  };
}

/** For one source on a node, which may be a pattern: its names are known there only. */
export function leftThere(source: string): Left {
  let came = 0;
  let last: string | undefined;
  let whole = false;
  return {
    progress: (path, size, done) => {
      if (path !== last || (done === 0 && whole)) came++;
      last = path;
      whole = done === size;
    },
    names: () => {
      if (last === undefined) return [source];
      if (!whole) return [`${source}, from ${last} on (${came - 1} came whole)`];
      return [`${source}, what comes after ${last} (${came} came whole)`];
    },
  };
}

/** How the scp of the other side ended, unless it succeeded. */
export function badEnd(exit: RemoteExit): string | undefined {
  switch (exit.status) {
    case 'exited':
      return exit.code === 0 ? undefined : `the remote scp ended with status ${exit.code}`;
    case 'signalled':
      return `the remote scp was ended by signal ${exit.signal}`;
    case 'unknown':
      return 'the remote scp ended without a status: it was killed, or the connection was lost';
  }
}

/** One copy: the session at the other side, and its output on stderr. */
export interface Copying {
  readonly session: ClientSession;
  readonly stream: ScpStream;
  readonly errors: Promise<string>;
  readonly left: Left;
}

/** The error for a copy that `e` ended, with everything that is known about the other side's end. */
export async function cutShort(e: unknown, copying: Copying): Promise<Error> {
  // Its status comes with its end; a peer that breaks the protocol is not waited for.
  if (!copying.stream.ended) copying.session.channel.destroy();
  const said = (await copying.errors).trim();
  const end = badEnd(await copying.session.exit);
  return incomplete([said, end === undefined ? messageOf(e) : `${messageOf(e)}: ${end}`], copying, e);
}

/**
 * @throws CodedError unless the other side succeeded, or reported in `stream.complaints` what it could not
 *   do.
 */
export async function checkEnd(copying: Copying): Promise<void> {
  const exit = await copying.session.exit;
  const end = badEnd(exit);
  if (end === undefined || (exit.status === 'exited' && copying.stream.complaints.length > 0)) return;
  throw incomplete([(await copying.errors).trim(), end], copying);
}

/**
 * Nothing is left when everything was acknowledged before the end failed: then only how it ended is reported.
 */
function incomplete(why: readonly string[], { stream, left }: Copying, cause?: unknown): CodedError {
  const lines = [
    ...stream.complaints,
    ...why.filter((line) => line !== ''),
    ...left.names().map((name) => `not copied: ${name}`),
  ];
  return new CodedError('unavailable', lines.join('\n'), { cause });
}
