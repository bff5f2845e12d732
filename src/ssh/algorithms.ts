import { CodedError } from '../base/errors.ts';
import { certAlgOf } from '../pki/ssh-certificate.ts';
import { sigAlgsOf, type KeyType } from '../pki/ssh-key.ts';
import { servedCiphers, servedMacs } from './packet-algorithms.ts';
import { hybridName, hybridSupported } from './hybrid-exchange.ts';

/** Names for ssh2, best first. */
export interface SshAlgorithms {
  readonly ciphers: readonly string[];
  readonly keyExchanges: readonly string[];
  readonly macs: readonly string[];
}

export const defaultAlgorithms: SshAlgorithms = {
  ciphers: [
    'aes128-gcm@openssh.com',
    'chacha20-poly1305@openssh.com',
    'aes128-ctr',
    'aes192-ctr',
    'aes256-ctr',
  ],
  keyExchanges: [
    ...(hybridSupported ? [hybridName] : []),
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
  ],
  macs: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com'],
};

/**
 * What may be configured. Nothing based on SHA-1 or MD5, no CBC, no RC4; "encrypt and MAC" is off unless
 * configured.
 */
export const supportedAlgorithms: SshAlgorithms = {
  ciphers: Object.keys(servedCiphers),
  keyExchanges: [
    ...defaultAlgorithms.keyExchanges,
    'diffie-hellman-group14-sha256',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group-exchange-sha256',
  ],
  macs: Object.keys(servedMacs),
};

function choose(
  what: string,
  wanted: readonly string[] | undefined,
  from: readonly string[],
): readonly string[] | undefined {
  if (wanted === undefined || wanted.length === 0) return undefined;
  const bad = wanted.find((name) => !from.includes(name));
  if (bad === undefined) return [...new Set(wanted)];
  throw new CodedError(
    'misconfigured',
    `${what} algorithm "${bad}" is not supported; supported algorithms: [${from.join(' ')}]`,
  );
}

/**
 * The algorithms of a configuration (`ciphers`, `kex_algos`, `mac_algos`); an absent or empty list keeps its
 * default.
 * @throws CodedError `misconfigured` that names the first one we do not support, and those we do.
 */
export function chooseAlgorithms(wanted: {
  ciphers?: readonly string[] | undefined;
  kexAlgos?: readonly string[] | undefined;
  macAlgos?: readonly string[] | undefined;
}): SshAlgorithms {
  const keyExchanges = choose('KEX', wanted.kexAlgos, supportedAlgorithms.keyExchanges);
  // The transport derives the one from parts of the other.
  if (keyExchanges?.includes(hybridName) && !keyExchanges.includes('curve25519-sha256'))
    throw new CodedError('misconfigured', `KEX algorithm "${hybridName}" needs curve25519-sha256 beside it`);
  return {
    ciphers: choose('cipher', wanted.ciphers, supportedAlgorithms.ciphers) ?? defaultAlgorithms.ciphers,
    keyExchanges: keyExchanges ?? defaultAlgorithms.keyExchanges,
    macs: choose('MAC', wanted.macAlgos, supportedAlgorithms.macs) ?? defaultAlgorithms.macs,
  };
}

const keyTypes: readonly KeyType[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
];

/** Signature algorithms we accept and make, best first. */
export const signatureAlgorithms: readonly string[] = keyTypes.flatMap((type) => sigAlgsOf(type));

/** The same for certificates: `ssh-ed25519-cert-v01@openssh.com`... */
export const certificateAlgorithms: readonly string[] = keyTypes.flatMap((type) =>
  sigAlgsOf(type).map((alg) => certAlgOf(alg)),
);

/** In the form of ssh2's `algorithms` option. Compression is off because it increases the attack surface. */
export const forSsh2 = (
  a: SshAlgorithms,
): { kex: string[]; cipher: string[]; hmac: string[]; compress: string[] } => ({
  kex: [...a.keyExchanges],
  cipher: [...a.ciphers],
  hmac: [...a.macs],
  compress: ['none'],
});
