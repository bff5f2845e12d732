import { BlockList, isIP } from 'node:net';
import { Reader } from './wire.ts';
import { splitSignature, verifySsh } from './ssh-key.ts';
import { FOREVER, type Certificate } from './ssh-certificate.ts';

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
export class CertError extends Error {
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
  now: bigint;
  clockSkew?: bigint;
  sourceAddress?: string;
  /** Critical options the CALLER will enforce (besides source-address which is enforced here). Unknown => refused. */
  understood?: readonly string[];
  revoked?: (c: Certificate) => boolean;
}

export const optionText = (c: Certificate, name: string): string | undefined => {
  const v = c.criticalOptions.get(name);
  if (v === undefined) return undefined;
  const r = new Reader(v);
  const s = r.text();
  r.end();
  return s;
};

function addressAllowed(list: string, addr: string): boolean {
  const a = addr.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  const fam = isIP(a);
  if (!fam) return false;
  const bl = new BlockList();
  for (const item of list.split(',').map((s) => s.trim())) {
    const [net, bits, extra] = item.split('/');
    const f = isIP(net ?? '');
    if (!f || extra !== undefined || (bits !== undefined && !/^\d{1,3}$/.test(bits)))
      throw new CertError('source-address', `bad entry ${item}`);
    const t = f === 4 ? 'ipv4' : 'ipv6';
    const width = f === 4 ? 32 : 128;
    const n = bits === undefined ? width : Number(bits);
    if (n > width) throw new CertError('source-address', `bad entry ${item}`);
    bl.addSubnet(net!, n, t);
  }
  return bl.check(a, fam === 4 ? 'ipv4' : 'ipv6');
}

function hostMatches(pattern: string, name: string): boolean {
  const p = pattern.toLowerCase(),
    n = name.toLowerCase();
  return (
    p === n ||
    (p.startsWith('*.') &&
      n.endsWith(p.slice(1)) &&
      n.length > p.length - 1 &&
      !n.slice(0, n.length - p.length + 1).includes('.'))
  );
}

/** Throws CertError unless `c` is acceptable under `p`. The order puts the cheap unauthenticated checks first. */
export function checkCertificate(c: Certificate, p: CheckPolicy): void {
  if (c.kind !== p.kind) throw new CertError('wrong-kind', `${c.kind} certificate used as ${p.kind}`);
  let known = false;
  for (const ca of p.cas)
    if (ca.equals(c.ca.blob)) {
      known = true;
      break;
    }
  if (!known) throw new CertError('unknown-ca');
  // RSA CA: rsa-sha2-* only; verifySsh never accepts "ssh-rsa" (SHA-1).
  if (!verifySsh(c.ca, c.signed, c.signature))
    throw new CertError(
      'bad-signature',
      `CA signature (${(() => {
        try {
          return splitSignature(c.signature).alg;
        } catch {
          return '?';
        }
      })()})`,
    );
  const now = p.now;
  const skew = p.clockSkew ?? 0n;
  if (now + skew < c.validAfter) throw new CertError('not-yet-valid');
  if (now >= c.validBefore + (c.validBefore === FOREVER ? 0n : skew)) throw new CertError('expired');
  const match = c.kind === 'host' ? hostMatches : (a: string, b: string) => a === b;
  if (!c.principals.some((cp) => p.principals.some((want) => match(cp, want))))
    throw new CertError('principal', `certificate is for [${c.principals.join(',')}]`);
  for (const [name] of c.criticalOptions) {
    if (c.kind === 'user' && name === 'source-address') {
      if (p.sourceAddress === undefined || !addressAllowed(optionText(c, name) ?? '', p.sourceAddress))
        throw new CertError('source-address', p.sourceAddress ?? 'unknown peer');
    } else if (c.kind === 'host' || !p.understood?.includes(name)) {
      throw new CertError('critical-option', name); // no critical option exists for host certificates
    }
  }
  if (p.revoked?.(c)) throw new CertError('revoked');
}
