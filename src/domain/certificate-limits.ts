import type { Traits } from './role-spec.ts';

/** What a person's certificates contain. */
export interface CertificateContents {
  readonly username: string;
  readonly roles: readonly string[];
  readonly logins: readonly string[];
  readonly traits: Traits;
}

/**
 * Programs that read the certificate refuse more.
 * Source: OpenSSH, SSHKEY_CERT_MAX_PRINCIPALS.
 */
const maxPrincipals = 256;
/**
 * For the parts of the SSH certificate that differ from person to person. A login request holds the whole
 * certificate beside a signature, and 35,000 bytes are what every implementation takes. Source: RFC 4253,
 * section 6.1.
 */
const maxBytes = 28_000;
/** For one text: the X.509 certificate with the same contents has each in an attribute of its own. */
const maxTextBytes = 1_024;

/**
 * Why these contents do not fit into a certificate, as a sentence for whoever sets them; undefined when they
 * fit. Checked where roles and traits are set, and before a login counts, so that nobody spends a code only
 * to learn that the certificate cannot be made.
 */
export function certificateMisfit({
  username,
  roles,
  logins,
  traits,
}: CertificateContents): string | undefined {
  if (logins.length > maxPrincipals)
    return `it has ${logins.length} logins, and a certificate holds ${maxPrincipals}`;
  const texts = [
    username,
    ...roles,
    ...logins,
    ...Object.entries(traits).flatMap(([key, all]) => [key, ...all]),
  ];
  const bad = texts.find((text) => !isSound(text));
  if (bad !== undefined) return `${JSON.stringify(bad.slice(0, 64))} cannot stand in a certificate`;
  const long = texts.find((text) => utf8Bytes(text) > maxTextBytes);
  if (long !== undefined)
    return `"${long.slice(0, 32)}…" has ${utf8Bytes(long)} bytes, and a text in a certificate at most ${maxTextBytes}`;
  const bytes =
    utf8Bytes(username) +
    logins.reduce((sum, login) => sum + 4 + utf8Bytes(login), 0) +
    utf8Bytes(JSON.stringify(roles)) +
    utf8Bytes(JSON.stringify(traits));
  return bytes > maxBytes
    ? `its names, roles, logins and traits take ${bytes} bytes, and a certificate holds ${maxBytes}`
    : undefined;
}

/** No control character and no unpaired surrogate: such text does not survive being written and read. */
const isSound = (text: string): boolean => text.isWellFormed() && !/[\u0000-\u001f\u007f-\u009f]/.test(text);

/** Without `node:`, since this room is pure. */
function utf8Bytes(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x1_0000 ? 3 : 4;
  }
  return bytes;
}
