import { printable } from '../../../base/printable.ts';
import type { CliIo } from '../../cli-io.ts';

/**
 * Shows which hosts it waits for: on a terminal one line that is overwritten, else a line for each change.
 */
export interface Progress {
  show(text: string): void;
  /** Leaves the terminal at the beginning of a line. */
  end(): void;
}

const toLineStart = '\r\u001b[2K';

export function rotationProgress(io: CliIo): Progress {
  const { isTTY } = io.stderr;
  let shown = '';
  return {
    show: (text) => {
      if (text === shown) return;
      shown = text;
      if (!isTTY) {
        io.stderr.write(`${text}\n`);
        return;
      }
      const { columns = 80 } = io.raw.stderr;
      // A line that wraps could not be overwritten.
      const line = Array.from(printable(text))
        .slice(0, Math.max(1, columns - 1))
        .join('');
      io.raw.stderr.write(`${toLineStart}${line}`);
    },
    end: () => {
      if (isTTY && shown !== '') io.raw.stderr.write('\n');
      shown = '';
    },
  };
}
