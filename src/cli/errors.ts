import { messageOf } from '../base/errors.ts';
import { printableMessage } from '../base/printable.ts';

/**
 * Ends the program with `status`, after `error: <message>` when there is one. For results that are not our
 * failures: the exit status of a remote command, a question answered with no.
 */
export class ExitStatus extends Error {
  override readonly name = 'ExitStatus';
  readonly status: number;
  constructor(status: number, message = '') {
    super(message);
    this.status = status;
  }
}

const unknownAuthority = `WARNING:

  The proxy you are connecting to has presented a certificate signed by a
  unknown authority. This is most likely due to either being presented
  with a self-signed certificate or the certificate was truly signed by an
  authority not known to the client.

  If you know the certificate is self-signed and would like to ignore this
  error use the --insecure flag.

  If you have your own certificate authority that you would like to use to
  validate the certificate chain presented by the proxy, set the
  SSL_CERT_FILE and SSL_CERT_DIR environment variables respectively and try
  again.

  If you think something malicious may be occurring, contact your Teleport
  system administrator to resolve this issue.
`;

const invalidCertificate = (why: string): string => `WARNING:

  The certificate presented by the proxy is invalid: ${why}.

  Contact your Teleport system administrator to resolve this issue.`;

const wrongHostname = (why: string): string =>
  `Cannot establish https connection: ${why}\n` +
  `try a different hostname for --proxy or specify --insecure flag if you know what you're doing.`;

const unknownAuthorityCodes: readonly string[] = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_UNTRUSTED',
];
const invalidCodes: readonly string[] = [
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REVOKED',
  'CERT_REJECTED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_CHAIN_TOO_LONG',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
];

const codeOf = (e: unknown): string =>
  e instanceof Error && 'code' in e && typeof e.code === 'string' ? e.code : '';

/** The text for a failed TLS check, with what the user can do; undefined when `e` is something else. */
export function tlsHint(e: unknown): string | undefined {
  const code = codeOf(e);
  if (unknownAuthorityCodes.includes(code)) return unknownAuthority;
  if (invalidCodes.includes(code)) return invalidCertificate(messageOf(e));
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return wrongHostname(messageOf(e));
  return e instanceof Error && e.cause !== undefined ? tlsHint(e.cause) : undefined;
}

/** The text for any error; for one that gathers several, all their texts. */
export function explain(e: unknown): string {
  const hint = tlsHint(e);
  if (hint !== undefined) return hint;
  if (e instanceof AggregateError && e.errors.length > 0)
    return [...new Set(e.errors.map((one: unknown) => explain(one)))].join('; ');
  const text = messageOf(e);
  return text === '' ? codeOf(e) || 'unknown error' : text;
}

/**
 * The lines for stderr: `error: <message>`, never a stack, unless `debug` is set. Empty for an `ExitStatus`
 * without a message.
 */
export function errorLines(e: unknown, debug = false): string {
  if (e instanceof ExitStatus && e.message === '') return '';
  const trace = debug && e instanceof Error && !(e instanceof ExitStatus) ? `${e.stack ?? ''}\n` : '';
  return `error: ${printableMessage(explain(e))}\n${trace}`;
}

/** The exit status for any error. */
export const exitStatusOf = (e: unknown): number => (e instanceof ExitStatus ? e.status : 1);
