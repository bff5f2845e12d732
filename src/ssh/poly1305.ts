/**
 * Poly1305 in plain arithmetic, for the Node whose OpenSSL cannot be called: node:crypto offers it only
 * inside chacha20-poly1305 of RFC 8439, which pads the message otherwise than SSH does. Ten limbs of 13 bits:
 * every product and sum stays an exact number, and no branch or index depends on a secret. Source: RFC 8439,
 * 2.5; limbs as in poly1305-donna-16.
 */
const LIMBS = 10;
const LIMB_BITS = 13;
const LIMB_MASK = 0x1fff;
const BLOCK = 16;

/** Bits 13·i to 13·i+12 of 16 bytes, little endian; the last limb has 11 bits. */
function limbsOf(bytes: Uint8Array, at: number, out: Float64Array): void {
  for (let i = 0; i < LIMBS; i++) {
    const bit = i * LIMB_BITS;
    const byte = at + (bit >> 3);
    const three =
      (bytes[byte] ?? 0) |
      (byte + 1 < at + BLOCK ? (bytes[byte + 1] ?? 0) << 8 : 0) |
      (byte + 2 < at + BLOCK ? (bytes[byte + 2] ?? 0) << 16 : 0);
    out[i] = (three >> (bit & 7)) & LIMB_MASK;
  }
}

/** h = h · r mod 2^130 - 5, limbs carried to 13 bits (the second may be a little larger). */
function multiply(h: Float64Array, r: Float64Array, product: Float64Array): void {
  let carry = 0;
  for (let i = 0; i < LIMBS; i++) {
    let sum = carry;
    for (let j = 0; j < LIMBS; j++) {
      const k = i - j;
      sum += (h[j] ?? 0) * (k >= 0 ? (r[k] ?? 0) : 5 * (r[k + LIMBS] ?? 0));
    }
    carry = Math.floor(sum / (LIMB_MASK + 1));
    product[i] = sum - carry * (LIMB_MASK + 1);
  }
  const first = (product[0] ?? 0) + carry * 5;
  product[0] = first % (LIMB_MASK + 1);
  product[1] = (product[1] ?? 0) + Math.floor(first / (LIMB_MASK + 1));
  h.set(product);
}

/** Fully reduced, as a number below 2^130 - 5. Once per message. */
function valueOf(h: Float64Array): bigint {
  let value = 0n;
  for (let i = LIMBS - 1; i >= 0; i--) value = (value << BigInt(LIMB_BITS)) + BigInt(h[i] ?? 0);
  return value % ((1n << 130n) - 5n);
}

/** The tag of `message` under the one-time `key` of 32 bytes, written to the first 16 of `tag`. */
export function poly1305(key: Uint8Array, message: Uint8Array, tag: Uint8Array): void {
  const clamped = Uint8Array.from(key.subarray(0, BLOCK));
  for (const i of [3, 7, 11, 15]) clamped[i] = (clamped[i] ?? 0) & 15;
  for (const i of [4, 8, 12]) clamped[i] = (clamped[i] ?? 0) & 252;
  const r = new Float64Array(LIMBS);
  limbsOf(clamped, 0, r);
  const h = new Float64Array(LIMBS);
  const m = new Float64Array(LIMBS);
  const product = new Float64Array(LIMBS);
  const whole = message.length - (message.length % BLOCK);
  const last = LIMBS - 1;
  const add = (bytes: Uint8Array, at: number, high: number): void => {
    limbsOf(bytes, at, m);
    for (let i = 0; i < LIMBS; i++) h[i] = (h[i] ?? 0) + (m[i] ?? 0);
    h[last] = (h[last] ?? 0) + high;
    multiply(h, r, product);
  };
  for (let at = 0; at < whole; at += BLOCK) add(message, at, 1 << 11);
  if (whole < message.length) {
    const rest = new Uint8Array(BLOCK);
    rest.set(message.subarray(whole));
    rest[message.length - whole] = 1;
    add(rest, 0, 0);
  }
  let sum = valueOf(h);
  for (let i = BLOCK - 1, s = 0n; i >= 0; i--) {
    s = (s << 8n) + BigInt(key[BLOCK + i] ?? 0);
    if (i === 0) sum += s;
  }
  for (let i = 0; i < BLOCK; i++, sum >>= 8n) tag[i] = Number(sum & 255n);
}
