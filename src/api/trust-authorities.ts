import { CodedError, isCoded } from '../base/errors.ts';
import type { Instant } from '../base/time.ts';
import { printableLine } from '../base/printable.ts';
import { verifyAnnouncement } from '../pki/authority-announcement.ts';
import { caPinOf, matchesPin } from '../pki/ca-pin.ts';
import { readCertificate } from '../pki/x509.ts';
import type { HostAuthorities } from './operations/cluster.ts';

/** What a server claimed over a connection that nobody verified. */
export interface ClaimedAuthorities {
  /** `host:port` */
  readonly server: string;
  readonly signer: HostAuthorities;
}

/**
 * Known to users of 4.4; the rest of the message is ours.
 * Source: reference 4.4, join.
 */
const pinMismatch = 'provided certificate pin does not match cluster pin';

/**
 * The authorities (PEM) that may be trusted: those that match a pin, and those named in an announcement that
 * one of these has signed. Without pins, all: then nothing is known about the server that replied. Another
 * authority beside a pinned one is not trusted, because the server may have added it.
 * @throws CodedError `access_denied` when none matches a pin, with the expected and the found ones;
 *   `misconfigured` when the authority is not valid at `now`, because a clock is wrong or the authority has
 *   expired.
 */
export function authoritiesToTrust(
  { server, signer }: ClaimedAuthorities,
  pins: readonly string[],
  now: Instant,
): readonly string[] {
  const claimed = signer.tlsCertificatesPem;
  // Each is compared, even after one that matches.
  const pinned = claimed.map((pem) => matchesPin(pem, pins));
  const chain = pins.length === 0 ? nothingAnnounced : announcedTo(pins, signer, now);
  const trusted =
    pins.length === 0
      ? claimed
      : withoutTwins([...claimed.filter((_, index) => pinned[index]), ...chain.authorities]);
  if (trusted.length === 0)
    throw new CodedError(
      'access_denied',
      `${pinMismatch}. This could have occurred if the certificate authority (CA) of the cluster was rotated or its auth ` +
        `server was set up from scratch, so that the pin is old, or if another machine answers in place of the auth server. ` +
        `Expected: ${pins.join(', ')}. Got from ${server}: ${claimed.slice(0, 8).map(described).join(', ') || 'none'}. ` +
        withdrawnText({ server, signer }, pins) +
        (chain.refusal === undefined ? '' : `No pin leads further: ${chain.refusal}. `) +
        `Nothing secret was sent. Run "tctl status" on the auth server: if it prints the pin that was got, set ca_pin ` +
        `(--ca-pin) to it; if not, find out who answers at ${server}`,
    );
  const valid = trusted.filter((pem) => holdsAt(pem, now));
  const [first] = trusted;
  if (valid.length === 0 && first !== undefined) throw notNow(first, now);
  return valid;
}

interface Chain {
  readonly authorities: readonly string[];
  /** Why an announcement was not trusted. */
  readonly refusal?: string;
}
const nothingAnnounced: Chain = { authorities: [] };

/**
 * The authorities that the holder of a pinned key vouches for. A refused announcement does not affect the pin
 * itself.
 */
function announcedTo(
  pins: readonly string[],
  { announcement, clusterName }: HostAuthorities,
  now: Instant,
): Chain {
  if (announcement === undefined) return nothingAnnounced;
  const anchors = { sshKeys: [], pins: pins.map((pin) => pin.trim().toLowerCase()) };
  try {
    const { keys } = verifyAnnouncement(announcement, { anchors, clusterName, type: 'host', now, after: 0 });
    const authorities = keys.map(({ tlsCertificatePem }) => tlsCertificatePem);
    authorities.forEach(readCertificate);
    return { authorities };
  } catch (e) {
    if (!isCoded(e)) throw e;
    return { authorities: [], refusal: e.message };
  }
}

/** The same key in the same certificate once. */
const withoutTwins = (pems: readonly string[]): readonly string[] => [
  ...new Map(pems.map((pem) => [readCertificate(pem).fingerprint256, pem])).values(),
];

/** Long enough to identify the actor; the text comes from the server. */
const shownOfClaim = 100;

/** What the server claims about a pin that it does not have any more. */
function withdrawnText({ server, signer }: ClaimedAuthorities, pins: readonly string[]): string {
  const wanted = new Set(pins.map((pin) => pin.trim().toLowerCase()));
  const last = signer.withdrawn.findLast(({ caPin }) => wanted.has(caPin));
  if (last === undefined) return '';
  const by = printableLine(last.by).slice(0, shownOfClaim);
  const how = whys.get(last.why) ?? printableLine(last.why).slice(0, shownOfClaim);
  return `${server} claims that ${last.caPin} ${how} at ${last.at} by ${by}. `;
}

const whys: ReadonlyMap<string, string> = new Map([
  ['rotated', 'was rotated'],
  ['rolled_back', 'was taken back'],
  ['replaced', 'was replaced without a grace period'],
]);

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
      ? `clock skew: the cluster's certificate authority is valid from ${from.toISOString()}, but the clock of this machine ` +
          `says ${now}: set the clock (and keep it set: chrony, ntpd)`
      : `the cluster's certificate authority expired on ${to.toISOString()}, and the clock of this machine says ${now}: ` +
          `set the clock if it is wrong; if it is right, the authority must be renewed`,
  );
}
