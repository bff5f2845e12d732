/**
 * The ciphers and MACs of the packet layer, with the fields that ssh2's key exchange reads to cut keys from
 * the secret.
 */

export interface CipherInfo {
  /** Of OpenSSL. */
  readonly sslName: string;
  readonly blockLen: number;
  readonly keyLen: number;
  readonly ivLen: number;
  /** 16 for a cipher that authenticates by itself, 0 for one that needs a MAC. */
  readonly authLen: number;
  readonly discardLen: number;
  readonly stream: boolean;
}

export interface MacInfo {
  readonly sslName: string;
  /** Of the key. */
  readonly len: number;
  readonly actualLen: number;
  /** Encrypt, then MAC. */
  readonly isETM: boolean;
}

const cipher = (
  sslName: string,
  blockLen: number,
  keyLen: number,
  ivLen: number,
  authLen: number,
): CipherInfo => ({ sslName, blockLen, keyLen, ivLen, authLen, discardLen: 0, stream: true });

const mac = (sslName: string, len: number, isETM: boolean): MacInfo => ({
  sslName,
  len,
  actualLen: len,
  isETM,
});

/** Source: RFC 5647 with OpenSSH's PROTOCOL 1.6; PROTOCOL.chacha20poly1305; RFC 4344. */
export const servedCiphers: Readonly<Record<string, CipherInfo>> = {
  'aes128-gcm@openssh.com': cipher('aes-128-gcm', 16, 16, 12, 16),
  'aes256-gcm@openssh.com': cipher('aes-256-gcm', 16, 32, 12, 16),
  'chacha20-poly1305@openssh.com': cipher('chacha20', 8, 64, 0, 16),
  'aes128-ctr': cipher('aes-128-ctr', 16, 16, 16, 0),
  'aes192-ctr': cipher('aes-192-ctr', 16, 24, 16, 0),
  'aes256-ctr': cipher('aes-256-ctr', 16, 32, 16, 0),
};

/**
 * Those without `etm` only where the configuration asks for them. Source: RFC 6668; OpenSSH's PROTOCOL 1.1.
 */
export const servedMacs: Readonly<Record<string, MacInfo>> = {
  'hmac-sha2-256-etm@openssh.com': mac('sha256', 32, true),
  'hmac-sha2-512-etm@openssh.com': mac('sha512', 64, true),
  'hmac-sha2-256': mac('sha256', 32, false),
  'hmac-sha2-512': mac('sha512', 64, false),
};
