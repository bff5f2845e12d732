import { isCoded } from '../../../base/errors.ts';
import type { Instant } from '../../../base/time.ts';
import {
  type KeysAnnouncement,
  type SignedKeysAnnouncement,
  verifyAnnouncement,
} from '../../../pki/authority-announcement.ts';
import { caPinOf } from '../../../pki/ca-pin.ts';
import { certificatePem, keyLine } from '../login/credential-text.ts';

/** Keys of the host authority of one cluster. */
export interface HostKeys {
  /** authorized_keys lines. */
  readonly sshKeys: readonly string[];
  /** PEM. */
  readonly tlsCasPem: readonly string[];
}

/** What this machine knows about a cluster, and since when. */
export interface KnownCluster {
  readonly clusterName: string;
  readonly keys: HostKeys;
  /**
   * When a login (or whoever made an identity file) brought the keys: an earlier announcement may be about
   * keys that were withdrawn since.
   */
  readonly learntAt: Instant;
  /** Of the last announcement that was accepted since then; 0: none was. */
  readonly number: number;
}

export type Judgement =
  /** The cluster announces nothing: it never rotated. */
  | { readonly status: 'none' }
  | { readonly status: 'current'; readonly number: number }
  /** These keys and no others are trusted from now on. */
  | { readonly status: 'renewed'; readonly number: number; readonly keys: HostKeys }
  | { readonly status: 'refused'; readonly reason: string };

/** The result of an announcement for a machine that knows this about the cluster. */
export function judgeAnnouncement(
  announcement: SignedKeysAnnouncement | undefined,
  known: KnownCluster,
  now: Instant,
): Judgement {
  if (announcement === undefined) return { status: 'none' };
  try {
    return judged(announcement, known, now);
  } catch (e) {
    if (!isCoded(e)) throw e;
    return { status: 'refused', reason: e.message };
  }
}

/**
 * The result of what a cluster says of the keys of another one, over a connection on which it has proved
 * itself.
 */
export function judgeVouched(vouched: HostKeys, { keys, number }: KnownCluster): Judgement {
  const said = rewrittenKeys(vouched);
  if (said === undefined) return { status: 'refused', reason: 'what is said to be a key of it is none' };
  return isSame(said, keys) ? { status: 'current', number } : { status: 'renewed', number, keys: said };
}

function judged(announcement: SignedKeysAnnouncement, known: KnownCluster, now: Instant): Judgement {
  const verified = verifyAnnouncement(announcement, {
    anchors: { sshKeys: known.keys.sshKeys, pins: known.keys.tlsCasPem.map(caPinOf) },
    clusterName: known.clusterName,
    type: 'host',
    now,
    after: known.number,
  });
  const { number, at } = verified;
  const keys = rewritten(verified);
  if (keys === undefined) return { status: 'refused', reason: `${notAccepted}: it names a key that is none` };
  if (isSame(keys, known.keys)) return { status: 'current', number };
  if (at < known.learntAt)
    return {
      status: 'refused',
      reason: `${notAccepted}: it was made at ${at}, before the keys that are known here were learnt (${known.learntAt})`,
    };
  return { status: 'renewed', number, keys };
}

const notAccepted = "the announcement of the cluster's keys is not accepted";

const rewritten = ({ keys }: KeysAnnouncement): HostKeys | undefined =>
  rewrittenKeys({
    sshKeys: keys.map(({ sshPublicKey }) => sshPublicKey),
    tlsCasPem: keys.map(({ tlsCertificatePem }) => tlsCertificatePem),
  });

/** Read and written again, so that nothing beside a key gets into a file, whoever signed it. */
function rewrittenKeys({ sshKeys, tlsCasPem }: HostKeys): HostKeys | undefined {
  try {
    return { sshKeys: sshKeys.map(keyLine), tlsCasPem: tlsCasPem.map(certificatePem) };
  } catch {
    return undefined; // neither an SSH key nor a certificate
  }
}

const isSame = (a: HostKeys, b: HostKeys): boolean =>
  sameSet(a.sshKeys.map(keyLine), b.sshKeys.map(keyLine)) &&
  sameSet(a.tlsCasPem.map(certificatePem), b.tlsCasPem.map(certificatePem));

const sameSet = (a: readonly string[], b: readonly string[]): boolean =>
  new Set(a).size === new Set([...a, ...b]).size && new Set(b).size === new Set([...a, ...b]).size;
