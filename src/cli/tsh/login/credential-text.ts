import { X509Certificate } from 'node:crypto';
import { fromAuthorizedKeyLine, toAuthorizedKeyLine } from '../../../pki/ssh-key.ts';

/*
 * Text from a proxy is parsed and formatted again before it goes into a file, so that nothing beside a key or
 * a certificate (another line, a comment) is included.
 */

/**
 * One line for a public key or an SSH certificate, without a comment. @throws WireError when it is neither.
 */
export const keyLine = (text: string): string => toAuthorizedKeyLine(fromAuthorizedKeyLine(text));

/** The first certificate of a PEM text. @throws Error of OpenSSL when there is none. */
export const certificatePem = (text: string): string => new X509Certificate(text).toString().trim();

/** All certificates of a text, unchanged. */
export const splitPem = (text: string): readonly string[] =>
  text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g) ?? [];
