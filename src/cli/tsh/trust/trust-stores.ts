import { minute } from '../../../base/duration.ts';
import { writeFileAtomic } from '../../../base/files.ts';
import { type Instant, msBetween } from '../../../base/time.ts';
import { CodedError } from '../../../base/errors.ts';
import { fromAuthorizedKeyLine, toAuthorizedKeyLine } from '../../../pki/ssh-key.ts';
import { type ClientIdentity, isAuthorityOf } from '../login/client-identity.ts';
import { splitPem } from '../login/credential-text.ts';
import type { TshHome } from '../login/home.ts';
import { knownAuthorities, readKnownHosts, storeClusterAuthorities } from '../login/known-hosts.ts';
import { type Profile, readIfThere } from '../login/profile.ts';
import type { Renewal, TrustStore } from './cluster-trust.ts';
import type { HostKeys, KnownCluster } from './judge-announcement.ts';
import { type Learnt, readLearnt, writeLearnt } from './learnt.ts';

/** How often a cluster whose hosts are all trusted is asked whether its keys changed. */
const askEveryMs = 10 * minute;
const authoritiesMode = 0o640;

type Who = Pick<ClientIdentity, 'clusterName' | 'certificate'>;

/**
 * What a login left under the tsh home: `known_hosts`, `certs.pem`, and the file beside them.
 * @param clusterName another one that the proxy leads to; default: that of the login.
 */
export function storedTrust(
  home: TshHome,
  profile: Profile,
  identity: Who,
  clusterName = identity.clusterName,
): TrustStore {
  const { proxyHost, user } = profile;
  const leaf = clusterName === identity.clusterName ? undefined : clusterName;
  const authoritiesFile = home.keyFiles(proxyHost, user).authorities;
  const remembered = (): Learnt => {
    const learnt = readLearnt(home, proxyHost, leaf);
    return learnt?.clusterName === clusterName
      ? learnt
      : { clusterName, learntAt: issuedAt(identity), number: 0, askedAt: null };
  };
  const write = (keys: HostKeys): void => {
    if (leaf !== undefined) requireNoOther(home, { clusterName: leaf, proxyHost }, keys);
    const others = splitPem(readIfThere(authoritiesFile) ?? '').filter(
      (pem) => !isAuthorityOf(clusterName)(pem),
    );
    const all = [...others, ...keys.tlsCasPem].map((pem) => `${pem.trim()}\n`);
    writeFileAtomic(authoritiesFile, all.join(''), authoritiesMode);
    storeClusterAuthorities(
      home,
      { clusterName, checkingKeys: keys.sshKeys },
      { ...profile, clusterName: identity.clusterName },
    );
  };
  const sshKeys = (): readonly string[] =>
    knownAuthorities(readKnownHosts(home))
      .filter((one) => one.proxyHost === proxyHost && one.clusterName === clusterName)
      .map(({ blob }) => toAuthorizedKeyLine(blob));
  return {
    read: () => {
      const { learntAt, number } = remembered();
      const tlsCasPem = splitPem(readIfThere(authoritiesFile) ?? '').filter(isAuthorityOf(clusterName));
      return { clusterName, learntAt, number, keys: { sshKeys: sshKeys(), tlsCasPem } };
    },
    keep: (renewal, now) => {
      // Nothing is noted of a cluster that the proxy does not lead to.
      if (leaf !== undefined && renewal.status === 'none') return;
      const before = remembered();
      // The number first: if this is interrupted, an older announcement is still refused, and the same one is
      // followed at the next attempt.
      const number = 'number' in renewal ? renewal.number : before.number;
      writeLearnt(home, proxyHost, { ...before, number, askedAt: now }, leaf);
      if (renewal.status === 'renewed') write(renewal.keys);
    },
    isDue: (now) => {
      const { askedAt } = remembered();
      // A login forgets what was known of leaves.
      if (askedAt === null || (leaf !== undefined && sshKeys().length === 0)) return true;
      const agoMs = msBetween(askedAt, now);
      return agoMs >= askEveryMs || agoMs < 0; // the clock was set back
    },
  };
}

/**
 * Whoever leads to a cluster may say what its keys are, but not against another proxy that led there first:
 * stock ssh would believe both.
 * @throws CodedError `access_denied`
 */
function requireNoOther(
  home: TshHome,
  { clusterName, proxyHost }: { readonly clusterName: string; readonly proxyHost: string },
  { sshKeys }: HostKeys,
): void {
  const blobs = sshKeys.map((line) => fromAuthorizedKeyLine(line));
  const others = knownAuthorities(readKnownHosts(home)).filter(
    (one) => one.clusterName === clusterName && one.proxyHost !== proxyHost,
  );
  const [other] = others;
  if (other === undefined || others.some(({ blob }) => blobs.some((one) => one.equals(blob)))) return;
  throw new CodedError(
    'access_denied',
    `cluster '${clusterName}' is known from the proxy ${other.proxyHost}, with other authorities`,
  );
}

/**
 * An identity file belongs to whoever made it: nothing is written, and it is followed for one command only.
 */
export const identityFileTrust = (identity: ClientIdentity): TrustStore =>
  trustInMemory(identity, identity.clusterName, {
    sshKeys: identity.hostAuthorities.map((blob) => toAuthorizedKeyLine(blob)),
    tlsCasPem: identity.tlsCasPem,
  });

/** For one command. */
export function trustInMemory(identity: Who, clusterName: string, keys: HostKeys): TrustStore {
  let known: KnownCluster = { clusterName, learntAt: issuedAt(identity), number: 0, keys };
  return {
    read: () => known,
    keep: (renewal: Renewal) => {
      if (renewal.status === 'renewed') known = { ...known, number: renewal.number, keys: renewal.keys };
    },
    isDue: () => false,
  };
}

/** By the cluster's clock, less the time by which certificates are dated back for clocks that differ. */
export const issuedAt = ({ certificate }: Pick<ClientIdentity, 'certificate'>): Instant =>
  new Date(Number(certificate.validAfter) * 1000).toISOString();
