const leastBytes = 4_096;
const lineEnd = 0x0a;

/**
 * How many bytes at the beginning of this output need not be looked at, because lines behind them push out
 * what they show: they are text and ends of lines, and so are enough lines after them. They end with CR LF.
 * Only where the whole screen scrolls.
 * @param rows of the screen.
 */
export function plainLines(input: Uint8Array, rows: number): number {
  if (input.length < leastBytes) return 0;
  const bytes = Buffer.from(input.buffer, input.byteOffset, input.length);
  const plain = bytes.subarray(0, plainLength(bytes));
  if (plain.length < leastBytes) return 0;
  let at = plain.length;
  for (let lines = 0; lines <= rows; lines++) {
    at = at > 0 ? plain.lastIndexOf(lineEnd, at - 1) : -1;
    if (at < 1) return 0;
  }
  // Enough before it, too, that the cursor has reached the last line.
  return bytes[at - 1] === 0x0d && hasLines(plain, at, rows) ? at + 1 : 0;
}

function hasLines(bytes: Buffer, before: number, count: number): boolean {
  let at = -1;
  for (let lines = 0; lines < count; lines++) {
    at = bytes.indexOf(lineEnd, at + 1);
    if (at < 0 || at >= before) return false;
  }
  return true;
}

/** Up to the first byte that may change how later ones are read: ESC, a shift, C1. */
function plainLength(bytes: Buffer): number {
  let end = bytes.length;
  for (const byte of [0x1b, 0x0e, 0x0f, 0xc2]) {
    const at = bytes.subarray(0, end).indexOf(byte);
    if (at >= 0) end = at;
  }
  return end;
}
