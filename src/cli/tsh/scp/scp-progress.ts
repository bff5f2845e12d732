import type { CliIo } from '../../cli-io.ts';
import { printable } from '../../../base/printable.ts';
import type { Progress } from '../../../transfer/scp-send.ts';

/**
 * Prints `-> path (size)` for each file; on a terminal the line grows a percentage while the file is copied.
 * `arrow` is `->` up, `<-` down.
 */
export function showProgress(arrow: '->' | '<-', quiet: boolean, io: CliIo): Progress {
  if (quiet) return () => undefined;
  const terminal = io.stdout.isTTY;
  let shown = -1;
  return (path, size, done) => {
    const line = `${arrow} ${printable(path)} (${size})`;
    if (!terminal) {
      if (done === 0) io.stdout.write(`${line}\n`);
      return;
    }
    const percent = size === 0 ? 100 : Math.floor((done / size) * 100);
    if (done === 0) shown = -1;
    if (percent === shown) return;
    shown = percent;
    // Writes over its own line.
    io.raw.stdout.write(percent === 100 ? `\r${line}      \n` : `\r${line} ${percent}%`);
  };
}
