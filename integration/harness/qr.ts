import { default as jsqr } from 'jsqr';
import { PNG } from 'pngjs';

/** Reads a QR code from the pixels of a PNG, as a telephone would. */
export function readQrCode(png: Buffer): string {
  const image = PNG.sync.read(png);
  const found = jsqr.default(new Uint8ClampedArray(image.data), image.width, image.height);
  if (found === null) throw new Error('no QR code can be read');
  return found.data;
}
