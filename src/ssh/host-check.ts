import { CodedError, messageOf, unreachable } from '../base/errors.ts';
import { CertError, checkCertificate } from '../pki/check-ssh-certificate.ts';
import {
  extensionText,
  isCertAlg,
  parseCertificate,
  sigAlgOfCertAlg,
  type Certificate,
} from '../pki/ssh-certificate.ts';
import { fingerprint, parsePublicKey, sigAlgsOf } from '../pki/ssh-key.ts';
import { verifyExchangeWith, type KeyExchange } from './ssh2-internals.ts';

/** A host that the trusted authorities do not vouch for. */
export interface UnknownHost {
  /** Of the plain key, even when it came in a certificate. */
  readonly fingerprint: string;
  readonly keyBlob: Buffer;
  readonly certificate: Certificate | undefined;
  /** Why it is not trusted. */
  readonly reason: string;
}

export interface HostPolicy {
  /** Public key blobs of the trusted host authorities. */
  hostAuthorities(): Iterable<Buffer>;
  /** The host certificate must contain one of these names. */
  readonly hostPrincipals: readonly string[];
  /**
   * It must also contain this system role: a machine of another kind must not stand in for it, whatever its
   * name. Absent: any.
   */
  readonly hostRole?: 'Proxy' | 'Node' | undefined;
  /** Seconds since 1970. */
  now(): bigint;
  /** Called for unknown hosts (asks the person at the keyboard, or --insecure). Absent: they are refused. */
  readonly acceptUnknownHost?: ((host: UnknownHost) => boolean | Promise<boolean>) | undefined;
}

/** What a person reads when a host certificate is refused. */
function explain(e: CertError, c: Certificate, policy: HostPolicy): string {
  const names = policy.hostPrincipals.join(', ');
  switch (e.reason) {
    case 'unknown-ca':
      return `the host certificate of ${names} is signed by an authority that is not trusted here (${fingerprint(c.ca.blob)})`;
    case 'principal':
      return `the host certificate is not for ${names}, it is for: ${c.principals.join(', ')}`;
    case 'expired':
      return 'the host certificate has expired';
    case 'not-yet-valid':
      return 'the host certificate is not valid yet; compare the clocks';
    case 'malformed':
    case 'wrong-kind':
    case 'bad-signature':
    case 'critical-option':
    case 'source-address':
    case 'revoked':
      return `the host certificate is not acceptable (${e.message})`;
    default:
      return unreachable(e.reason);
  }
}

/** Why a certificate does not vouch for the host; undefined when it does. */
function doubtAbout(c: Certificate, policy: HostPolicy): string | undefined {
  try {
    checkCertificate(c, {
      kind: 'host',
      cas: policy.hostAuthorities(),
      principals: policy.hostPrincipals,
      now: policy.now(),
    });
    return doubtAboutRole(c, policy);
  } catch (e) {
    if (e instanceof CertError) return explain(e, c, policy);
    throw e;
  }
}

function doubtAboutRole(c: Certificate, { hostRole, hostPrincipals }: HostPolicy): string | undefined {
  if (hostRole === undefined) return undefined;
  const role = extensionText(c, 'x-teleport-role');
  return role === hostRole
    ? undefined
    : `${hostPrincipals.join(', ')} should be a host in role ${hostRole}, but its certificate ` +
        (role === undefined ? 'names no role' : `names the role ${JSON.stringify(role)}`);
}

const handshakeFailed = (reason: string): CodedError =>
  new CodedError('access_denied', `handshake failed: ${reason}`);

/** Judges the host of one connection, at the first key exchange and at each rekey. */
export class HostCheck {
  readonly #policy: HostPolicy;
  /** The key or certificate that the host presented first, once accepted. */
  #shown: Buffer | undefined;
  #certificate: Certificate | undefined;
  #refusal: CodedError | undefined;

  constructor(policy: HostPolicy) {
    this.#policy = policy;
  }

  get certificate(): Certificate | undefined {
    return this.#certificate;
  }
  /** True once the host is trusted; not while a person is still asked. */
  get accepted(): boolean {
    return this.#shown !== undefined;
  }
  /** Why the host was refused. */
  get refusal(): CodedError | undefined {
    return this.#refusal;
  }

  /**
   * @param kex the exchange that is under way, @param algorithm what was negotiated in it,
   * @param shown the very Buffer of ssh2 (see verifyExchangeWith).
   */
  verify(kex: KeyExchange, algorithm: string, shown: Buffer, done: (ok: boolean) => void): void {
    const refuse = (e: unknown): false => {
      this.#refusal = e instanceof CodedError ? e : handshakeFailed(messageOf(e));
      return false;
    };
    try {
      const raw = Buffer.from(shown);
      const unknown = this.#examine(kex, algorithm, shown, raw);
      if (unknown === undefined) done(true);
      else this.#ask(unknown, raw).catch(refuse).then(done).catch(refuse); // ssh2 throws when the connection ended during the question
    } catch (e) {
      done(refuse(e));
    }
  }

  /** Returns undefined for a host that is trusted, otherwise what is known about it. Throws to refuse. */
  #examine(kex: KeyExchange, algorithm: string, shown: Buffer, raw: Buffer): UnknownHost | undefined {
    const isCertificate = isCertAlg(algorithm);
    const certificate = isCertificate ? parseCertificate(raw) : undefined;
    const key = certificate?.key ?? parsePublicKey(raw);
    const signature = isCertificate
      ? sigAlgOfCertAlg(algorithm)
      : sigAlgsOf(key.type).find((a) => a === algorithm);
    if (signature === undefined || !sigAlgsOf(key.type).includes(signature))
      throw handshakeFailed('the host key does not fit the algorithm agreed on');
    // Before any question to a person: ssh2 may check the signature while that is open.
    if (isCertificate) verifyExchangeWith(kex, shown, key.blob, signature);
    if (this.#shown !== undefined) {
      // A rekey. It is not judged again: a short certificate may expire while the connection continues. But
      // it must be the same.
      if (!raw.equals(this.#shown))
        throw handshakeFailed('the host showed another key in the middle of the connection');
      return undefined;
    }
    const reason =
      certificate === undefined
        ? 'the host showed a plain key, no certificate'
        : doubtAbout(certificate, this.#policy);
    if (reason !== undefined)
      return { fingerprint: fingerprint(key.blob), keyBlob: key.blob, certificate, reason };
    this.#shown = raw;
    this.#certificate = certificate;
    return undefined;
  }

  async #ask(host: UnknownHost, raw: Buffer): Promise<boolean> {
    const { acceptUnknownHost } = this.#policy;
    if (acceptUnknownHost === undefined || !(await acceptUnknownHost(host)))
      throw handshakeFailed(host.reason);
    this.#shown = raw;
    this.#certificate = host.certificate;
    return true;
  }
}
