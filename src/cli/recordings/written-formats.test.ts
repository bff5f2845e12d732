import { describe, expect, it } from 'vitest';
import type { Frame, FrameContent } from '../../recording/frame.ts';
import { testAbout } from '../../recording/testing.ts';
import { asciicastWriter, type FrameWriter, jsonWriter, textWriter } from './written-formats.ts';

const output = (text: string | Uint8Array): FrameContent => ({ type: 'output', bytes: Buffer.from(text) });
const session: readonly FrameContent[] = [
  { type: 'start', about: testAbout },
  output('a\x1b[31mb\x1b]0;TITLE\x07'),
  output(Buffer.from('é').subarray(0, 1)),
  output(Buffer.from('é').subarray(1)),
  { type: 'resize', columns: 100, rows: 30 },
  { type: 'joined', who: { user: 'bob', mode: 'peer' } },
  { type: 'gap', gap: { bytes: 5, reason: 'the disk is full' } },
  { type: 'input', bytes: Buffer.from('ls\r') },
  output('\r\nlast'),
  output(Buffer.from([0xe2])),
  { type: 'end', exit: 'exit 0' },
];

function written(writer: FrameWriter): string {
  const frames = session.map((content, i): Frame => ({ atMs: i * 250, ...content }));
  return frames.map((frame) => writer.frame(frame)).join('') + writer.rest();
}

const lines = (text: string): unknown[] =>
  text
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));

describe('a session that is written', () => {
  it('as text has what was shown, and what is missing', () => {
    expect(written(textWriter())).toBe('[5 bytes are not recorded: the disk is full]\nabé\nlast\n');
  });

  it('as JSON has a line for everything that happened', () => {
    expect(lines(written(jsonWriter()))).toEqual([
      { ms: 0, type: 'start', about: testAbout },
      { ms: 250, type: 'output', data: 'a\x1b[31mb\x1b]0;TITLE\x07' },
      { ms: 500, type: 'output', data: '' },
      { ms: 750, type: 'output', data: 'é' },
      { ms: 1_000, type: 'resize', columns: 100, rows: 30 },
      { ms: 1_250, type: 'joined', who: { user: 'bob', mode: 'peer' } },
      { ms: 1_500, type: 'gap', gap: { bytes: 5, reason: 'the disk is full' } },
      { ms: 1_750, type: 'input', data: 'ls\r' },
      { ms: 2_000, type: 'output', data: '\r\nlast' },
      { ms: 2_250, type: 'output', data: '' },
      { ms: 2_500, type: 'end', exit: 'exit 0' },
      { ms: 2_500, type: 'output', data: '\ufffd' },
    ]);
  });

  it('as asciicast has what a terminal may be told, or all of it', () => {
    expect(lines(written(asciicastWriter(false)))).toEqual([
      {
        ...{ version: 2, width: 80, height: 24, timestamp: 1_796_288_400, title: 'alice: root@web-1' },
        env: { TERM: 'xterm' },
      },
      [0.25, 'o', 'a\x1b[31mb'],
      [0.75, 'o', 'é'],
      [1, 'r', '100x30'],
      [1.25, 'm', 'bob joined'],
      [1.5, 'm', '5 bytes are not recorded'],
      [2, 'o', '\r\nlast'],
    ]);
    expect(written(asciicastWriter(true))).toContain('TITLE');
  });
});
