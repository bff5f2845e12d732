import type { SecureContextOptions } from 'node:tls';

/**
 * The settings of all our TLS connections, in and out: TLS 1.2 or 1.3, a fresh key for each connection, and
 * ciphers that authenticate what they encrypt. No CBC and no SHA-1: those come as "MAC, then encrypt", which
 * has been broken before. Source: RFC 7540, appendix A; RFC 9325, 4.2.
 */
export const tlsPolicy = {
  minVersion: 'TLSv1.2',
  ciphers: [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ].join(':'),
} as const;

/** What one end shows, and whose certificates it accepts. PEM. */
export interface TlsContext {
  readonly key: string;
  readonly cert: string;
  readonly ca: readonly string[];
}

/** Also for `setSecureContext`: open connections stay as they are. */
export const secureContextOf = ({ key, cert, ca }: TlsContext): SecureContextOptions => ({
  key,
  cert,
  ca: [...ca],
  ...tlsPolicy,
});
