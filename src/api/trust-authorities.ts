import { CodedError } from '../base/errors.ts';
import type { Instant } from '../base/time.ts';
import { caPinOf, matchesPin } from '../pki/ca-pin.ts';
import { readCertificate } from '../pki/x509.ts';
import type { HostSigner } from './operations.ts';

/** What a server said of itself over a connection that nobody checked. */
export interface ClaimedAuthorities {
  /** `host:port` */
  readonly server: string;
  readonly signer: HostSigner;
}

/** Known to users of 4.4; the rest of the message is ours. Source: reference 4.4, join. */
const pinMismatch = 'provided certificate pin does not match cluster pin';

/**
 * The authorities (PEM) that may be believed: those that have one of the pins. Without pins, all: then nothing is known
 * of who answered. An authority beside a pinned one is not believed: whoever answered may have put it there.
 * @throws CodedError `access_denied` when none has a pin, with those that were expected and found; `misconfigured` when the
 * authority does not hold at `now`, which tells of a clock or of an authority that has ended.
 */
export function authoritiesToTrust(
  { server, signer }: ClaimedAuthorities,
  pins: readonly string[],
  now: Instant,
): readonly string[] {
  const claimed = signer.tlsCertificatesPem;
  // Each is compared, also after one that fits.
  const pinned = claimed.map((pem) => matchesPin(pem, pins));
  const trusted = pins.length === 0 ? claimed : claimed.filter((_, index) => pinned[index]);
  if (trusted.length === 0)
    throw new CodedError(
      'access_denied',
      `${pinMismatch}. This could have occurred if the certificate authority (CA) of the cluster was rotated or its auth ` +
        `server was set up anew, so that the pin is old, or if another machine answers in place of the auth server. ` +
        `Expected: ${pins.join(', ')}. Got from ${server}: ${claimed.slice(0, 8).map(described).join(', ') || 'none'}. ` +
        `Nothing secret was sent. Run "tctl status" on the auth server: if it prints the pin that was got, set ca_pin ` +
        `(--ca-pin) to it; if not, find out who answers at ${server}`,
    );
  const valid = trusted.filter((pem) => holdsAt(pem, now));
  const [first] = trusted;
  if (valid.length === 0 && first !== undefined) throw notNow(first, now);
  return valid;
}

function described(pem: string): string {
  const { subject, validFromDate } = readCertificate(pem);
  const cluster = /^O=(.*)$/m.exec(subject)?.[1] ?? '?';
  return `${caPinOf(pem)} (of "${cluster}", made ${validFromDate.toISOString()})`;
}

function holdsAt(pem: string, now: Instant): boolean {
  const { validFromDate, validToDate } = readCertificate(pem);
  const at = Date.parse(now);
  return validFromDate.getTime() <= at && at < validToDate.getTime();
}

function notNow(pem: string, now: Instant): CodedError {
  const { validFromDate: from, validToDate: to } = readCertificate(pem);
  return new CodedError(
    'misconfigured',
    Date.parse(now) < from.getTime()
      ? `clock skew: the cluster's certificate authority holds from ${from.toISOString()}, but the clock of this machine ` +
          `says ${now}: set the clock (and keep it set: chrony, ntpd)`
      : `the cluster's certificate authority has ended on ${to.toISOString()}, and the clock of this machine says ${now}: ` +
          `set the clock if it is wrong; if it is right, the authority must be renewed`,
  );
}
