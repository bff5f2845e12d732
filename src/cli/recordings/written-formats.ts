import { StringDecoder } from 'node:string_decoder';
import type { Frame, SessionAbout } from '../../recording/frame.ts';
import { OutputText } from '../../recording/playing/output-text.ts';
import { SafeOutput } from '../../recording/screen/safe-output.ts';

/** Writes a session in some form, a frame after the other. */
export interface FrameWriter {
  /** What is to be printed for it. */
  frame(frame: Frame): string;
  /** At the end. */
  rest(): string;
}

/** What was written, as lines of text. */
export function textWriter(): FrameWriter {
  const text = new OutputText();
  return {
    frame: (frame) => {
      if (frame.type === 'gap') return `[${frame.gap.bytes} bytes are not recorded: ${frame.gap.reason}]\n`;
      if (frame.type === 'output') text.feed(frame.bytes);
      return text
        .take()
        .map((line) => `${line}\n`)
        .join('');
    },
    rest: () => (text.line === '' ? '' : `${text.line.trimEnd()}\n`),
  };
}

/** A JSON object on a line for each thing that happened; `data` is text, what is no UTF-8 is U+FFFD. */
export function jsonWriter(): FrameWriter {
  const texts = { output: new StringDecoder('utf8'), input: new StringDecoder('utf8') };
  const line = (atMs: number, event: object): string => `${JSON.stringify({ ms: atMs, ...event })}\n`;
  let last = 0;
  return {
    frame: (frame) => {
      const { atMs, ...event } = frame;
      last = atMs;
      if (event.type !== 'output' && event.type !== 'input') return line(atMs, event);
      return line(atMs, { type: event.type, data: texts[event.type].write(Buffer.from(event.bytes)) });
    },
    rest: () =>
      (['output', 'input'] as const)
        .map((type) => ({ type, data: texts[type].end() }))
        .filter(({ data }) => data !== '')
        .map((event) => line(last, event))
        .join(''),
  };
}

/**
 * Version 2 of asciicast. What a terminal must not be told is left out unless `isRaw`: players pass on what
 * they read. Source: https://docs.asciinema.org/manual/asciicast/v2/
 */
export function asciicastWriter(isRaw: boolean): FrameWriter {
  const safe = new SafeOutput();
  const decoder = new StringDecoder('utf8');
  const line = (frame: Frame, code: string, data: string): string =>
    data === '' ? '' : `${JSON.stringify([frame.atMs / 1_000, code, data])}\n`;
  return {
    frame: (frame) => {
      switch (frame.type) {
        case 'start':
          return `${JSON.stringify(headerOf(frame.about))}\n`;
        case 'output':
          return line(frame, 'o', decoder.write(isRaw ? Buffer.from(frame.bytes) : safe.feed(frame.bytes)));
        case 'resize':
          return line(frame, 'r', `${frame.columns}x${frame.rows}`);
        case 'joined':
        case 'left':
          return line(frame, 'm', `${frame.who.user} ${frame.type}`);
        case 'gap':
          return line(frame, 'm', `${frame.gap.bytes} bytes are not recorded`);
        case 'input':
        case 'end':
          return '';
      }
    },
    rest: () => '',
  };
}

const headerOf = ({ columns, rows, startedAt, term, user, login, hostname }: SessionAbout): object => ({
  version: 2,
  width: columns,
  height: rows,
  timestamp: Math.floor(Date.parse(startedAt) / 1_000) || 0,
  title: `${user}: ${login}@${hostname}`,
  env: { TERM: term },
});
