import type { Authenticity } from './authenticity.ts';
import type { Manifest } from './manifest.ts';

/*
 * A manifest that has a MAC is the same JSON with one more field at its end, over the text without it:
 * `{"version":1,…,"mac":"<64 hexadecimal digits>"}`. It contains partition and slot, and the digests of all
 * parts of the snapshot.
 */

export interface ManifestText {
  /** Without the MAC. */
  readonly manifest: string;
  readonly mac: Buffer | undefined;
}

const macField = /,"mac":"([0-9a-f]{64})"\}$/;
const fieldChars = ',"mac":""}'.length + 64;

export function manifestBytes(manifest: Manifest, authenticity: Authenticity | undefined): Buffer {
  const text = JSON.stringify(manifest);
  if (authenticity === undefined) return Buffer.from(text);
  const mac = authenticity.mac('snapshot', Buffer.from(text)).toString('hex');
  return Buffer.from(`${text.slice(0, -1)},"mac":"${mac}"}`);
}

/** Takes apart what `manifestBytes` made. */
export function manifestText(bytes: Uint8Array): ManifestText {
  const text = Buffer.from(bytes).toString();
  const mac = macField.exec(text.slice(-fieldChars))?.[1];
  if (mac === undefined) return { manifest: text, mac: undefined };
  return { manifest: `${text.slice(0, -fieldChars)}}`, mac: Buffer.from(mac, 'hex') };
}

/** Undefined when the MAC is good. */
export const macFaultOf = (
  { manifest, mac }: ManifestText,
  authenticity: Authenticity,
): string | undefined =>
  mac !== undefined && authenticity.holds('snapshot', Buffer.from(manifest), mac)
    ? undefined
    : 'it does not have its MAC: somebody who does not hold the keyring wrote it';
