/** The far side of scp (old protocol) for machines without OpenSSH's. Runs as the person, on standard input and output. */
import { resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { ScpFault } from './scp-record.ts';
import { receiveFiles } from './scp-sink.ts';
import { sendFiles } from './scp-source.ts';
import { ScpStream } from './scp-stream.ts';

export interface ScpArguments {
  readonly direction: 'upload' | 'download';
  readonly recursive: boolean;
  readonly preserve: boolean;
  readonly mustBeFolder: boolean;
  readonly targets: readonly string[];
}

const known = /^-[tfrdpqv46BC]+$/;

/** Reads the arguments as the other side gives them. @throws ScpFault for what cannot be done. */
export function parseScpArguments(argv: readonly string[]): ScpArguments {
  const at = argv.findIndex((word) => word === '--' || !word.startsWith('-'));
  const flagWords = at < 0 ? argv : argv.slice(0, at);
  const targets = at < 0 ? [] : argv.slice(argv[at] === '--' ? at + 1 : at);
  const bad = flagWords.find((word) => !known.test(word));
  if (bad !== undefined) throw new ScpFault(`unknown option ${bad}`);
  const on = (letter: string): boolean => flagWords.some((word) => word.includes(letter));
  if (on('t') === on('f')) throw new ScpFault('this is the far side of a copy: it needs either -t or -f');
  if (targets.length === 0) throw new ScpFault('missing an argument');
  if (on('t') && targets.length > 1) throw new ScpFault('ambiguous target');
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
  /** Where relative names begin. */
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
    const failures =
      options.direction === 'upload'
        ? await receiveFiles(stream, { ...options, target: targets[0] ?? home })
        : await sendFiles(stream, { ...options, targets });
    return failures === 0 ? 0 : 1;
  } catch (e) {
    if (!(e instanceof ScpFault)) throw e;
    if (!output.destroyed) output.write(`\x02scp: ${e.message.replaceAll('\n', ' ')}\n`);
    return 1;
  }
}
