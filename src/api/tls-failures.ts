import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import type { Instant } from '../base/time.ts';
import { LostAnswer } from './http-over.ts';
import { isAnswer } from './wire-errors.ts';

/**
 * Why no verified connection was made. `stranger`: its certificate is signed by none of the trusted
 * authorities. `clock`: by one of them, but it is not valid at this machine's time. `no-tls`: the server
 * speaks another protocol.
 */
export type TlsFailure = 'stranger' | 'clock' | 'no-tls';

/** Codes of OpenSSL's verification, as Node names them. Source: Node, "X509 certificate error codes". */
const failures: ReadonlyMap<string, TlsFailure> = new Map([
  ['UNABLE_TO_GET_ISSUER_CERT', 'stranger'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'stranger'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'stranger'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'stranger'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'stranger'],
  ['CERT_SIGNATURE_FAILURE', 'stranger'],
  ['CERT_UNTRUSTED', 'stranger'],
  ['CERT_REJECTED', 'stranger'],
  ['INVALID_CA', 'stranger'],
  ['CERT_NOT_YET_VALID', 'clock'],
  ['CERT_HAS_EXPIRED', 'clock'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'no-tls'],
  ['ERR_SSL_PACKET_LENGTH_TOO_LONG', 'no-tls'],
]);

/** The root cause of an error that dialling and calling wrapped. */
function rootOf(e: unknown): unknown {
  let root = e;
  while (root instanceof Error && root.cause !== undefined) root = root.cause;
  return root;
}

/** Undefined when TLS did not fail. */
export function tlsFailureOf(e: unknown): TlsFailure | undefined {
  const { code } = rootOf(e) as { code?: unknown };
  return typeof code === 'string' ? failures.get(code) : undefined;
}

/**
 * A failure of a call to one server, worded to stand beside its name, without repeating the name.
 * @param trusted what the server had to prove, for the message.
 * @throws an error that is not a CodedError: a bug.
 */
export function inWords(e: unknown, trusted: string, now: Instant): CodedError {
  switch (tlsFailureOf(e)) {
    case 'stranger':
      return new CodedError('access_denied', `its certificate is not signed by ${trusted}`, { cause: e });
    case 'clock':
      return new CodedError(
        'misconfigured',
        `clock skew: its certificate is not valid at ${now}, which is what the clock of this machine says: set the clock`,
        { cause: e },
      );
    case 'no-tls':
      return new CodedError('unavailable', 'what answers there does not speak TLS', { cause: e });
    case undefined:
      if (!isCoded(e)) throw e;
      // For a server that could not be dialled the cause has the reason; for an error from a server, and an
      // unknown one, the error itself.
      return e.code !== 'unavailable' || e.cause === undefined || saysItself(e)
        ? e
        : new CodedError('unavailable', messageOf(e.cause), { cause: e });
  }
}

const saysItself = (e: CodedError): boolean =>
  e.cause instanceof LostAnswer || isAnswer(e) || isAnswer(e.cause);
