import { CodedError, isCoded } from '../base/errors.ts';
import type { Instant } from '../base/time.ts';
import { printableLine } from '../base/printable.ts';
import { verifyAnnouncement } from '../pki/authority-announcement.ts';
import { caPinOf, matchesPin } from '../pki/ca-pin.ts';
import { readCertificate } from '../pki/x509.ts';
import type { HostAuthorities } from './operations/cluster.ts';

/** What a server said of itself over a connection that nobody checked. */
export interface ClaimedAuthorities {
  /** `host:port` */
  readonly server: string;
  readonly signer: HostAuthorities;
}

/** Known to users of 4.4; the rest of the message is ours. Source: reference 4.4, join. */
const pinMismatch = 'provided certificate pin does not match cluster pin';

/**
 * The authorities (PEM) that may be believed: those that have one of the pins, and those that an announcement
 * names which one of these has signed. Without pins, all: then nothing is known of who answered. An authority
 * beside a pinned one is not believed otherwise: whoever answered may have put it there.
 * @throws CodedError `access_denied` when none has a pin, with those that were expected and found;
 *   `misconfigured` when the authority does not hold at `now`, which tells of a clock or of an authority that
 *   has ended.
 */
export function authoritiesToTrust(
  { server, signer }: ClaimedAuthorities,
  pins: readonly string[],
  now: Instant,
): readonly string[] {
  const claimed = signer.tlsCertificatesPem;
  // Each is compared, also after one that fits.
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
  /** Why an announcement that was there is not believed. */
  readonly refusal?: string;
}
const nothingAnnounced: Chain = { authorities: [] };

/** Whom the holder of a pinned key vouches for. What is not accepted takes nothing from the pin itself. */
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

/** Long enough for who it was; whoever answers wrote it. */
const shownOfClaim = 100;

/** What the server claims of a pin that it does not have any more. */
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
