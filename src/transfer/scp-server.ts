/**
 * The far side of scp (old protocol) for machines without OpenSSH's. Runs as the person, on standard input
 * and output.
 */
import { join, resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { CodedError } from '../base/errors.ts';
import { isFolder, type Place, receiveFiles } from './scp-receive.ts';
import { sendFiles } from './scp-send.ts';
import { ScpStream } from './scp-stream.ts';

export interface ScpArguments {
  readonly direction: 'upload' | 'download';
  readonly recursive: boolean;
  readonly preserve: boolean;
  readonly mustBeFolder: boolean;
  readonly targets: readonly string[];
}

const known = /^-[tfrdpqv46BC]+$/;

/** Reads the arguments from the other side. @throws CodedError `bad_request` for unsupported ones. */
export function parseScpArguments(argv: readonly string[]): ScpArguments {
  const at = argv.findIndex((word) => word === '--' || !word.startsWith('-'));
  const flagWords = at < 0 ? argv : argv.slice(0, at);
  const targets = at < 0 ? [] : argv.slice(argv[at] === '--' ? at + 1 : at);
  const bad = flagWords.find((word) => !known.test(word));
  if (bad !== undefined) throw new CodedError('bad_request', `unknown option ${bad}`);
  const on = (letter: string): boolean => flagWords.some((word) => word.includes(letter));
  if (on('t') === on('f'))
    throw new CodedError('bad_request', 'this is the far side of a copy: it needs either -t or -f');
  if (targets.length === 0) throw new CodedError('bad_request', 'missing an argument');
  if (on('t') && targets.length > 1) throw new CodedError('bad_request', 'ambiguous target');
  return {
    direction: on('t') ? 'upload' : 'download',
    recursive: on('r'),
    preserve: on('p'),
    mustBeFolder: on('d'),
    targets,
  };
}

export interface ScpStreams {
  readonly input: Readable;
  readonly output: Writable;
  /** The folder of relative names. */
  readonly home: string;
}

/** Serves one copy. Resolves to the exit status: 0 when every file was moved. */
export async function serveScp(
  argv: readonly string[],
  { input, output, home }: ScpStreams,
): Promise<number> {
  const stream = new ScpStream(input, output);
  try {
    const options = parseScpArguments(argv);
    const targets = options.targets.map((target) => resolve(home, target));
    if (options.direction === 'upload') await receiveInto(stream, targets[0] ?? home, options);
    else await sendFiles(stream, targets, options);
    return stream.complaints.length === 0 ? 0 : 1;
  } catch (e) {
    if (!(e instanceof CodedError)) throw e;
    if (!output.destroyed) output.write(`\x02scp: ${e.message.replaceAll('\n', ' ')}\n`);
    return 1;
  }
}

async function receiveInto(stream: ScpStream, target: string, options: ScpArguments): Promise<void> {
  if (options.mustBeFolder && !(await isFolder(target)))
    throw new CodedError('bad_request', `${target}: Not a directory`);
  // Into the target if it is a folder, else it is the new name.
  const place: Place = async ({ name }) => ((await isFolder(target)) ? join(target, name) : target);
  await receiveFiles(stream, { ...options, place });
}
