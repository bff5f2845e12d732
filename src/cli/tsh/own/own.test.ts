import jsQR from 'jsqr';
import { describe, expect, it } from 'vitest';
import { readBegunDevice } from '../cluster/web-answers.ts';
import { askNewPassword } from './passwd-command.ts';
import { qrText } from './qr-text.ts';

const url =
  'otpauth://totp/Teleport:alice%40example?secret=ABCDEFGHIJKLMNOPQRSTUVWXYZ234567&issuer=Teleport&algorithm=SHA1&digits=6&period=30';

/** Reads the picture as a camera does that sees it on a dark terminal. */
function scanned(text: string): string | undefined {
  const rows = text.trimEnd().split('\n');
  const scale = 4;
  const width = (rows[0]?.length ?? 0) * scale;
  const height = rows.length * 2 * scale;
  const pixels = new Uint8ClampedArray(width * height * 4);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const line = Math.floor(y / scale);
      const glyph = rows[Math.floor(line / 2)]?.[Math.floor(x / scale)] ?? ' ';
      const light = glyph === '█' || glyph === (line % 2 === 0 ? '▀' : '▄');
      pixels.set([...Array<number>(3).fill(light ? 255 : 0), 255], (y * width + x) * 4);
    }
  return jsQR.default(pixels, width, height)?.data;
}

describe('the picture for a device', () => {
  it('is read as the text that it is of, and fits a terminal', () => {
    const text = qrText(url);
    expect(scanned(text)).toBe(url);
    expect(text.split('\n').every((line) => line.length <= 79)).toBe(true);
    expect(text).toMatch(/^[ █▀▄\n]+$/);
  });
});

describe('what the proxy answers', () => {
  const answer = { token: 'ab12', otp_url: url, expires: '2026-01-31T08:10:00.000Z' };
  it('is shown as it is', () => {
    expect(readBegunDevice(answer)).toEqual({
      token: 'ab12',
      otpUrl: url,
      secret: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567',
      expiresAt: answer.expires,
    });
  });
  it.each([
    ['nothing', null],
    ['a token that is a path', { ...answer, token: '../x' }],
    ['no URL', { ...answer, otp_url: undefined }],
    ['a URL of something else', { ...answer, otp_url: 'https://example.com/' }],
    ['a URL without a secret', { ...answer, otp_url: 'otpauth://totp/a?issuer=b' }],
    ['a URL that controls the terminal', { ...answer, otp_url: `${url}\u001b[2J` }],
    ['no time', { ...answer, expires: 'soon' }],
  ])('is refused when it is %s', (_name, wrong) => {
    expect(() => readBegunDevice(wrong)).toThrow("the proxy's answer is not understood");
  });
});

describe('a new password', () => {
  const typing = (...lines: string[]) => ({ hidden: () => Promise.resolve(lines.shift() ?? '') });
  it('is typed twice', async () => {
    expect(await askNewPassword(typing('a b', 'a b'))).toBe('a b');
    await expect(askNewPassword(typing('a b', 'a c'))).rejects.toThrow('differ: nothing was changed');
  });
});
