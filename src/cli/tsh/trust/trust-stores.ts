import { readCertificate } from '../../../pki/x509.ts';
import { minute } from '../../../base/duration.ts';
import { writeFileAtomic } from '../../../base/files.ts';
import { type Instant, msBetween } from '../../../base/time.ts';
import { toAuthorizedKeyLine } from '../../../pki/ssh-key.ts';
import type { ClientIdentity } from '../login/client-identity.ts';
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

/** What a login left under the tsh home: `known_hosts`, `certs.pem`, and the file beside them. */
export function storedTrust(home: TshHome, profile: Profile, identity: Who): TrustStore {
  const { proxyHost, user } = profile;
  const { clusterName } = identity;
  const authoritiesFile = home.keyFiles(proxyHost, user).authorities;
  const remembered = (): Learnt => {
    const learnt = readLearnt(home, proxyHost);
    return learnt?.clusterName === clusterName
      ? learnt
      : { clusterName, learntAt: issuedAt(identity), number: 0, askedAt: null };
  };
  const write = (keys: HostKeys): void => {
    const others = splitPem(readIfThere(authoritiesFile) ?? '').filter((pem) => !isOf(clusterName)(pem));
    const all = [...others, ...keys.tlsCasPem].map((pem) => `${pem.trim()}\n`);
    writeFileAtomic(authoritiesFile, all.join(''), authoritiesMode);
    storeClusterAuthorities(home, { clusterName, checkingKeys: keys.sshKeys }, profile);
  };
  return {
    read: () => {
      const { learntAt, number } = remembered();
      const sshKeys = knownAuthorities(readKnownHosts(home))
        .filter((one) => one.proxyHost === proxyHost && one.clusterName === clusterName)
        .map(({ blob }) => toAuthorizedKeyLine(blob));
      const tlsCasPem = splitPem(readIfThere(authoritiesFile) ?? '').filter(isOf(clusterName));
      return { clusterName, learntAt, number, keys: { sshKeys, tlsCasPem } };
    },
    keep: (renewal, now) => {
      const before = remembered();
      // The number first: if this is interrupted, an older announcement is still refused, and the same one is
      // followed at the next attempt.
      const number = 'number' in renewal ? renewal.number : before.number;
      writeLearnt(home, proxyHost, { ...before, number, askedAt: now });
      if (renewal.status === 'renewed') write(renewal.keys);
    },
    isDue: (now) => {
      const { askedAt } = remembered();
      if (askedAt === null) return true;
      const agoMs = msBetween(askedAt, now);
      return agoMs >= askEveryMs || agoMs < 0; // the clock was set back
    },
  };
}

/**
 * An identity file belongs to whoever made it: nothing is written, and it is followed for one command only.
 */
export function identityFileTrust(identity: ClientIdentity): TrustStore {
  const { clusterName } = identity;
  let known: KnownCluster = {
    clusterName,
    learntAt: issuedAt(identity),
    number: 0,
    keys: {
      sshKeys: identity.hostAuthorities.map((blob) => toAuthorizedKeyLine(blob)),
      tlsCasPem: identity.tlsCasPem.filter(isOf(clusterName)),
    },
  };
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

/** An authority that cannot be read belongs to no cluster, and stays where it is. */
const isOf =
  (clusterName: string) =>
  (pem: string): boolean => {
    try {
      return /^O=(.*)$/m.exec(readCertificate(pem).subject)?.[1] === clusterName;
    } catch {
      return false;
    }
  };
