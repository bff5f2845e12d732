import { existsSync } from 'node:fs';
import { CodedError } from '../../../base/errors.ts';
import { isSessionId } from '../../../recording/chunk.ts';
import type { CliIo } from '../../cli-io.ts';
import type { Invocation } from '../../args.ts';
import type { Run } from '../../program.ts';
import { type PlayedRecording, playFile, playSession } from '../../recordings/played-recording.ts';
import {
  asciicastWriter,
  type FrameWriter,
  jsonWriter,
  textWriter,
} from '../../recordings/written-formats.ts';
import { written } from '../../written.ts';
import { openInsideAuth } from '../cluster/cluster-auth.ts';
import { openCluster } from '../cluster/open-cluster.ts';
import { readSettings } from '../settings.ts';
import { playInTerminal, speedOf } from './play-in-terminal.ts';

/** `tsh play`: a recorded session, in this terminal or written in some form. */
export const playCommand: Run = async (invocation, io) => {
  const format = invocation.text('format') ?? 'pty';
  if (format === 'pty') {
    checkTerminal(io);
    speedOf(invocation); // a mistake is told before anything is loaded
  }
  const named = invocation.arg('session-id or file') ?? '';
  const play = (recording: PlayedRecording): Promise<void> => show(recording, format, invocation, io);
  if (existsSync(named)) await playing(playFile(named), play);
  else if (isSessionId(named)) await playStored(named, format === 'pty', play, invocation, io);
  else
    throw new CodedError(
      'bad_request',
      `'${named}' is not a valid session ID (must be GUID), and no such file`,
    );
  return 0;
};

function checkTerminal(io: CliIo): void {
  if (!io.stdout.isTTY)
    throw new CodedError(
      'bad_request',
      'a session is played in a terminal: use --format=text, json or asciicast to write it elsewhere',
    );
}

async function playing(
  opening: Promise<PlayedRecording>,
  play: (recording: PlayedRecording) => Promise<void>,
): Promise<void> {
  await using recording = await opening;
  await play(recording);
}

async function playStored(
  sid: string,
  follows: boolean,
  play: (recording: PlayedRecording) => Promise<void>,
  invocation: Invocation,
  io: CliIo,
): Promise<void> {
  const settings = await readSettings(invocation, io);
  const cluster = await openCluster(settings, io, { cluster: invocation.text('cluster') });
  try {
    const auth = await openInsideAuth(cluster, io);
    try {
      await playing(playSession(auth, sid, { follows, env: io.env }), play);
    } finally {
      auth.close();
    }
  } finally {
    cluster.close();
  }
}

async function show(
  recording: PlayedRecording,
  format: string,
  invocation: Invocation,
  io: CliIo,
): Promise<void> {
  if (format === 'pty') await playInTerminal(recording.chunks, invocation, io);
  else await write(recording, writerOf(format, invocation.on('raw')), io);
  if (!recording.chunks.end.isOver)
    io.stderr.write('the recording has no end: its session goes on, or it was cut off\n');
}

function writerOf(format: string, isRaw: boolean): FrameWriter {
  if (format === 'asciicast') return asciicastWriter(isRaw);
  return format === 'json' ? jsonWriter() : textWriter();
}

async function write({ chunks }: PlayedRecording, writer: FrameWriter, io: CliIo): Promise<void> {
  for (let number = 0; ; number++) {
    await chunks.more(number);
    if (number >= chunks.count) break;
    for (const frame of await chunks.frames(number)) {
      const text = writer.frame(frame);
      if (text !== '') await written(io.stdout, text);
    }
  }
  await written(io.stdout, writer.rest());
  if (chunks.failure !== undefined) throw chunks.failure;
}
