import type { UnknownHost } from '../../../ssh/cert-client.ts';
import type { CliIo } from '../../cli-io.ts';
import { openPrompter } from '../../prompt.ts';
import { plainKeysOf, readKnownHosts, storePlainKey } from './known-hosts.ts';
import type { Settings } from '../settings.ts';
import type { ClusterTrust, Renewed } from '../trust/cluster-trust.ts';

/** Why a host was refused. */
export interface Refusal {
  readonly reason: string;
  /** The cluster's announcement of its keys, when it was asked because of this host. */
  readonly announced: Renewed | undefined;
}

/** Judges the host of one connection. */
export interface HostVerdict {
  readonly accept: (host: UnknownHost) => Promise<boolean>;
  refusal(): Refusal | undefined;
}

/** What to do with hosts that no authority vouches for. */
export interface HostTrust {
  /**
   * Connects to the host that is `name` in known_hosts; once more when its authority turned out to be the
   * cluster's.
   */
  connect<T>(
    name: string,
    attempt: (verdict: HostVerdict) => Promise<T>,
    explain: (e: unknown, refusal: Refusal | undefined) => Error,
  ): Promise<T>;
}

/**
 * Refuses, except for a key that a person accepted before, for `-o StrictHostKeyChecking=no` (with a
 * warning), and for `--insecure` after a question on the terminal.
 */
export function createHostTrust(
  trust: ClusterTrust,
  settings: Settings,
  io: CliIo,
  strict: boolean,
): HostTrust {
  return hostTrustBy(trust, {
    isKnown: (host, name) =>
      plainKeysOf(readKnownHosts(settings.home), name).some((blob) => blob.equals(host.keyBlob)),
    decide: (host, name) => decide(host, name, { settings, io, strict }),
  });
}

/** Hosts that no authority vouches for. */
interface PlainHosts {
  /** Whether its key was accepted before. */
  isKnown(host: UnknownHost, name: string): boolean;
  decide(host: UnknownHost, name: string): Promise<boolean>;
}

/** The authorities of the cluster, which follow its rotation, and besides them plain hosts. */
export function hostTrustBy(trust: ClusterTrust, plain: PlainHosts): HostTrust {
  return {
    connect: async (name, attempt, explain) => {
      const first = verdictOn(name, trust, plain);
      try {
        return await attempt(first);
      } catch (e) {
        if (!first.isKnownNow()) throw explain(e, first.refusal());
      }
      const second = verdictOn(name, trust, plain);
      return attempt(second).catch((e: unknown) => {
        throw explain(e, second.refusal());
      });
    },
  };
}

interface Given {
  readonly settings: Settings;
  readonly io: CliIo;
  readonly strict: boolean;
}

/**
 * A host of an unknown authority is looked up in the cluster's announcement before a person is asked about
 * it. Even if that names the authority, this connection is refused, and the next one checks the whole
 * certificate.
 */
function verdictOn(
  name: string,
  trust: ClusterTrust,
  plain: PlainHosts,
): HostVerdict & { isKnownNow(): boolean } {
  let refusal: Refusal | undefined;
  let knownNow = false;
  return {
    refusal: () => refusal,
    isKnownNow: () => knownNow,
    accept: async (host) => {
      if (plain.isKnown(host, name)) return true;
      const authority = host.certificate?.ca.blob;
      const asks = authority !== undefined && !trust.believes(authority);
      const announced = asks ? await trust.renew() : undefined;
      knownNow = asks && trust.believes(authority);
      const ok = !knownNow && (await plain.decide(host, name));
      if (!ok) refusal = { reason: host.reason, announced };
      return ok;
    },
  };
}

async function decide(host: UnknownHost, name: string, given: Given): Promise<boolean> {
  const { settings, io, strict } = given;
  if (!strict) {
    io.stderr.write(`WARNING: the identity of ${name} is not checked (${host.fingerprint})\n`);
    return true;
  }
  if (!settings.insecure || io.stdin.isTTY !== true) return false;
  const prompter = openPrompter(io);
  try {
    const question =
      `The authenticity of host '${name}' can't be established: ${host.reason}. Its public key is:\n` +
      `${host.fingerprint}\nAre you sure you want to continue? [y/n]`;
    const yes = /^y(es)?$/i.test((await prompter.line(question)).trim());
    if (yes) storePlainKey(settings.home, name, host.keyBlob);
    return yes;
  } finally {
    prompter.close();
  }
}
