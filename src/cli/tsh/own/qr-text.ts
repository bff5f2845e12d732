import QRCode from 'qrcode';

/** Light modules around the picture, by which a camera finds it. Source: ISO/IEC 18004, quiet zone. */
const quiet = 4;

/**
 * A QR code as lines of half blocks, two rows of modules in each. Light modules are drawn and dark ones are
 * left out, as `qrencode -t UTF8` does: right on a dark terminal, and readers take the inverse on a light
 * one.
 */
export function qrText(text: string): string {
  const { size, data } = QRCode.create(text, { errorCorrectionLevel: 'L' }).modules;
  const isLight = (row: number, column: number): boolean => {
    const isInside = row >= 0 && row < size && column >= 0 && column < size;
    return !isInside || data[row * size + column] === 0;
  };
  const columns = Array.from({ length: size + 2 * quiet }, (_, i) => i - quiet);
  const lines: string[] = [];
  for (let row = -quiet; row < size + quiet; row += 2)
    lines.push(columns.map((column) => blockOf(isLight(row, column), isLight(row + 1, column))).join(''));
  return `${lines.join('\n')}\n`;
}

function blockOf(upper: boolean, lower: boolean): string {
  if (upper) return lower ? '█' : '▀';
  return lower ? '▄' : ' ';
}
