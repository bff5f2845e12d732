import { BlockList, isIP } from 'node:net';
import { clockToleranceSeconds } from './certificate-life.ts';
import { verifySsh } from './ssh-key.ts';
import { FOREVER, isSoundPrincipal, optionDataText, type Certificate } from './ssh-certificate.ts';
import { WireError } from './wire.ts';

export type CertFailure =
  | 'malformed'
  | 'wrong-kind'
  | 'unknown-ca'
  | 'bad-signature'
  | 'not-yet-valid'
  | 'expired'
  | 'principal'
  | 'critical-option'
  | 'source-address'
  | 'revoked';

/** Why a certificate is refused: for the audit and the operator, not for whoever presented it. */
export class CertError extends Error {
  override readonly name = 'CertError';
  readonly reason: CertFailure;
  constructor(reason: CertFailure, detail = '') {
    super(detail ? `${reason}: ${detail}` : reason);
    this.reason = reason;
  }
}

export interface CheckPolicy {
  kind: 'user' | 'host';
  /** Public key blobs (plain) of the CAs trusted for this kind, right now (rotation: several). */
  cas: Iterable<Buffer>;
  /** At least one must match. Host certificates allow a leading "*." in the certificate, as OpenSSH does. */
  principals: readonly string[];
  /** Seconds since 1970. */
  now: bigint;
  /** Address of the peer; a certificate bound to addresses is refused without it. */
  sourceAddress?: string;
  /**
   * Critical options the CALLER will enforce (besides source-address which is enforced here). Unknown =>
   * refused.
   */
  understood?: readonly string[];
  revoked?: (c: Certificate) => boolean;
}

/**
 * The text of a critical option; undefined when there is none of that name. @throws WireError for invalid
 * text.
 */
export const optionText = (c: Certificate, name: string): string | undefined =>
  optionDataText(c.criticalOptions.get(name));

function addressAllowed(list: string, address: string): boolean {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  const family = isIP(plain);
  if (family === 0) return false;
  const allowed = new BlockList();
  // Every entry is read, even after one that matches, so that a half invalid list is refused.
  for (const item of list.split(',')) addSubnet(allowed, item.trim());
  return allowed.check(plain, family === 4 ? 'ipv4' : 'ipv6');
}

function addSubnet(allowed: BlockList, item: string): void {
  const [net = '', bits, extra] = item.split('/');
  const family = isIP(net);
  const width = family === 4 ? 32 : 128;
  const prefix = bits === undefined ? width : /^\d{1,3}$/.test(bits) ? Number(bits) : NaN;
  if (family === 0 || net.includes('%') || extra !== undefined || !(prefix <= width))
    throw new CertError('source-address', `bad entry ${JSON.stringify(item)}`);
  allowed.addSubnet(net, prefix, family === 4 ? 'ipv4' : 'ipv6');
}

/**
 * `*.` in front stands for exactly one label of a name, not for a part of an address; host names are
 * case-insensitive.
 */
function hostMatches(pattern: string, name: string): boolean {
  const [wanted, given] = [pattern.toLowerCase(), name.toLowerCase()];
  if (wanted === given) return true;
  if (isIP(given) !== 0) return false;
  const dot = given.indexOf('.');
  return wanted.length > 2 && wanted.startsWith('*.') && dot > 0 && given.slice(dot) === wanted.slice(1);
}

function checkSigner(c: Certificate, cas: Iterable<Buffer>): void {
  let known = false;
  for (const ca of cas) known ||= ca.equals(c.ca.blob);
  if (!known) throw new CertError('unknown-ca');
  // RSA: rsa-sha2-* only; verifySsh never accepts "ssh-rsa" (SHA-1), nor an algorithm of another key type.
  if (!verifySsh(c.ca, c.signed, c.signature)) throw new CertError('bad-signature', 'CA signature');
}

/**
 * The issuer's clock may be ahead of ours. That does not lengthen a certificate's life: the end is strict,
 * because the end is relied on to take access away.
 */
function checkTime(c: Certificate, { now }: CheckPolicy): void {
  if (c.validBefore <= c.validAfter) throw new CertError('malformed', 'it ends before it begins');
  if (now + clockToleranceSeconds < c.validAfter) throw new CertError('not-yet-valid');
  if (c.validBefore !== FOREVER && now >= c.validBefore) throw new CertError('expired');
}

function checkPrincipals(c: Certificate, { principals: wanted }: CheckPolicy): void {
  // OpenSSH accepts a certificate without principals for every name; here it is valid for none.
  if (c.principals.length === 0) throw new CertError('principal', 'certificate without principals');
  if (!c.principals.every(isSoundPrincipal)) throw new CertError('malformed', 'unsound principal');
  const match = c.kind === 'host' ? hostMatches : (a: string, b: string) => a === b;
  if (!c.principals.some((held) => wanted.some((name) => match(held, name))))
    throw new CertError('principal', `certificate is for [${c.principals.join(',')}]`);
}

function checkOptions(c: Certificate, { sourceAddress, understood = [] }: CheckPolicy): void {
  for (const name of c.criticalOptions.keys()) {
    if (c.kind === 'user' && name === 'source-address') checkSource(c, sourceAddress);
    // No critical option exists for host certificates.
    else if (c.kind === 'host' || !understood.includes(name))
      throw new CertError('critical-option', JSON.stringify(name.slice(0, 64)));
  }
}

function checkSource(c: Certificate, sourceAddress: string | undefined): void {
  let list: string | undefined;
  try {
    list = optionText(c, 'source-address');
  } catch (e) {
    if (!(e instanceof WireError)) throw e;
  }
  if (list === undefined) throw new CertError('source-address', 'not a list of addresses');
  if (sourceAddress === undefined || !addressAllowed(list, sourceAddress))
    throw new CertError('source-address', sourceAddress ?? 'unknown peer');
}

/**
 * Refuses a certificate that is not of the wanted kind, by a trusted CA, valid now, for one of the wanted
 * names, and free of conditions that nobody here enforces. Everything after the signature is read only when
 * the signature is valid. `parseCertificate` has already refused nested certificates, NUL, repeats and
 * trailing bytes.
 * @throws CertError
 */
export function checkCertificate(c: Certificate, policy: CheckPolicy): void {
  if (c.kind !== policy.kind)
    throw new CertError('wrong-kind', `${c.kind} certificate used as ${policy.kind}`);
  checkSigner(c, policy.cas);
  checkTime(c, policy);
  checkPrincipals(c, policy);
  checkOptions(c, policy);
  if (policy.revoked?.(c)) throw new CertError('revoked');
}
