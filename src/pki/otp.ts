/**
 * One-time codes as authenticator applications make them: HMAC-SHA-1, six digits, 30 seconds. SHA-1 is sound
 * inside an HMAC, and the only hash that all of them know. Source: RFC 6238.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

const stepMs = 30_000;
const digits = 6;
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** A new seed: 20 random bytes. */
export const newOtpSecret = (randomBytes: (n: number) => Uint8Array): Uint8Array => randomBytes(20);

/** Base 32 without padding. Source: RFC 4648, section 6. */
export function base32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    for (; bits >= 5; bits -= 5) text += alphabet.charAt((value >>> (bits - 5)) & 31);
    value &= 0xff;
  }
  return bits > 0 ? text + alphabet.charAt((value << (5 - bits)) & 31) : text;
}

/** The bytes of a text that `base32` has made. Bits that fill no byte are left out. */
export function fromBase32(text: string): Uint8Array {
  const bytes: number[] = [];
  let bits = 0;
  let value = 0;
  for (const character of text) {
    value = (value << 5) | alphabet.indexOf(character);
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((value >>> bits) & 0xff);
    value &= (1 << bits) - 1;
  }
  return Uint8Array.from(bytes);
}

/** What an authenticator application scans. Source: Google Authenticator, "Key Uri Format". */
export const otpUrl = ({
  issuer,
  account,
  secret,
}: {
  issuer: string;
  account: string;
  secret: Uint8Array;
}): string =>
  `otpauth://totp/${encodeURIComponent(issuer)}:${encodeURIComponent(account)}` +
  `?secret=${base32(secret)}&issuer=${encodeURIComponent(issuer)}&algorithm=SHA1&digits=${digits}&period=${stepMs / 1000}`;

/** When codes of this step begin to be valid. */
export const startOfOtpStep = (step: number): string => new Date(step * stepMs).toISOString();

/** The code of a step. Source: RFC 4226, section 5.3; RFC 6238. */
export function otpCode(secret: Uint8Array, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigInt64BE(BigInt(step));
  const mac = createHmac('sha1', secret).update(counter).digest();
  const at = mac.readUInt8(mac.length - 1) & 0x0f;
  return String((mac.readUInt32BE(at) & 0x7fff_ffff) % 10 ** digits).padStart(digits, '0');
}

/**
 * The 30-second step that `code` belongs to, among now and `skewSteps` before and after; undefined when none.
 * The earliest one, if two steps have the same code. The caller must make sure that a step is used only once.
 * Takes the same time for any code.
 */
export function matchOtpStep(
  secret: Uint8Array,
  code: string,
  nowMs: number,
  skewSteps = 1,
): number | undefined {
  const now = Math.floor(nowMs / stepMs);
  const given = Buffer.from(code.padEnd(digits, ' ').slice(0, digits), 'latin1');
  const usable = /^\d{6}$/.test(code);
  let matched: number | undefined;
  for (let step = now - skewSteps; step <= now + skewSteps; step++)
    if (timingSafeEqual(given, Buffer.from(otpCode(secret, step), 'latin1')) && usable) matched ??= step;
  return matched;
}
