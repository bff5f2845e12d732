import type { Frame } from '../frame.ts';
import { OutputText } from './output-text.ts';

/** A line in which some text is. */
export interface FoundText {
  /** When it was there, since the session began. */
  readonly atMs: number;
  /** As it was then: more may have come later. */
  readonly line: string;
}

/** Looks for a text, in whatever case, in the output of a session; each line that has it is found once. */
export class TextFinder {
  readonly #wanted: string;
  readonly #text = new OutputText();
  #isLineFound = false;

  constructor(wanted: string) {
    this.#wanted = wanted.toLowerCase();
  }

  /** The next frame. Returns the lines in which the text is since this frame. */
  feed(frame: Frame): FoundText[] {
    if (frame.type !== 'output') return [];
    this.#text.feed(frame.bytes);
    const found: FoundText[] = [];
    const look = (line: string): boolean => {
      const isIn = line.toLowerCase().includes(this.#wanted);
      if (isIn && !this.#isLineFound) found.push({ atMs: frame.atMs, line });
      return isIn;
    };
    for (const line of this.#text.take()) {
      look(line);
      this.#isLineFound = false;
    }
    this.#isLineFound ||= look(this.#text.line);
    return found;
  }
}
