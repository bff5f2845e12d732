import { isCoded, messageOf } from '../../../base/errors.ts';
import { second } from '../../../base/duration.ts';
import type { Instant } from '../../../base/time.ts';
import { startTimer, stopTimer } from '../../../base/timers.ts';
import { fromAuthorizedKeyLine } from '../../../pki/ssh-key.ts';
import type { CliIo } from '../../cli-io.ts';
import type { AuthoritiesAnswer, WithdrawnKey } from '../cluster/web-answers.ts';
import type { ClientIdentity } from '../login/client-identity.ts';
import {
  type HostKeys,
  type Judgement,
  judgeAnnouncement,
  judgeVouched,
  type KnownCluster,
} from './judge-announcement.ts';

/** Where the keys of a cluster are kept between commands. */
export interface TrustStore {
  /** The current content: another command may have changed it. */
  read(): KnownCluster;
  /** Stores the result, and when. @throws Error when it cannot be written. */
  keep(judgement: Renewal, now: Instant): void;
  /** Whether the cluster was asked so long ago that it should be asked again. */
  isDue(now: Instant): boolean;
}

export type Renewal = Judgement | { readonly status: 'unreachable'; readonly reason: string };

/** How a command learns the keys of a cluster. */
export type Learning =
  /** By what that announces itself at the web port. @throws CodedError */
  | { readonly announced: () => Promise<AuthoritiesAnswer> }
  /** By what another one says, on a connection on which that has proved itself. @throws CodedError */
  | { readonly vouched: () => Promise<HostKeys> };

export interface Renewed {
  readonly renewal: Renewal;
  /** As the proxy claims. */
  readonly withdrawn: readonly WithdrawnKey[];
}

/** A command waits no longer than this for something that it does not need. */
const patienceMs = 2 * second;

/**
 * The host authorities that a command trusts. They follow a rotation of the cluster: the announcement at the
 * proxy's web port is requested when a host presents a certificate of an unknown authority, and from time to
 * time. Only an announcement that a trusted key vouches for changes anything.
 */
export class ClusterTrust {
  readonly clusterName: string;
  readonly #store: TrustStore;
  readonly #learning: Learning;
  readonly #io: CliIo;
  #sshKeys: readonly Buffer[];
  #tlsCasPem: readonly string[];
  #renewing: Promise<Renewed> | undefined;
  #userSigner = '';

  constructor(
    identity: Pick<ClientIdentity, 'clusterName' | 'hostAuthorities' | 'tlsCasPem'>,
    given: Learning & { readonly store: TrustStore },
    io: CliIo,
  ) {
    this.clusterName = identity.clusterName;
    this.#sshKeys = identity.hostAuthorities;
    this.#tlsCasPem = identity.tlsCasPem;
    this.#store = given.store;
    this.#learning = given;
    this.#io = io;
  }

  /** Public key blobs. */
  sshKeys(): readonly Buffer[] {
    return this.#sshKeys;
  }

  tlsCasPem(): readonly string[] {
    return this.#tlsCasPem;
  }

  /** Fingerprint of the key that signs for people, as the proxy claims; empty where it was not asked. */
  userSigner(): string {
    return this.#userSigner;
  }

  believes(authority: Buffer): boolean {
    return this.#sshKeys.some((key) => key.equals(authority));
  }

  /** The current content of the files about the cluster. */
  known(): KnownCluster {
    return this.#store.read();
  }

  /** Requests the announcement and follows it. A command asks once; later calls have the same result. */
  renew(): Promise<Renewed> {
    this.#renewing ??= this.#renew();
    return this.#renewing;
  }

  /** Renews when it is due. Never throws; problems become warnings. */
  async renewWhenDue(): Promise<void> {
    try {
      if (!this.#store.isDue(this.#io.world.now())) return;
      await orNot(
        this.renew().then(({ renewal }) => {
          if (renewal.status === 'refused') this.#warn(`${renewal.reason}. Nothing was changed`);
        }),
      );
    } catch (e) {
      this.#warn(messageOf(e));
    }
  }

  async #renew(): Promise<Renewed> {
    let told: Told;
    try {
      told = await ask(this.#learning, this.#io.world.now());
    } catch (e) {
      if (!isCoded(e)) throw e;
      // Not found: a proxy of an earlier release.
      const renewal: Renewal =
        e.code === 'not_found' ? { status: 'none' } : { status: 'unreachable', reason: e.message };
      this.#keep(renewal);
      return { renewal, withdrawn: [] };
    }
    this.#userSigner = told.userSigner;
    // Nothing is awaited from here on, so that nothing stored by another command in between is overwritten.
    const known = this.#store.read();
    const renewal = told.judge(known);
    if (renewal.status === 'renewed') this.#adopt(renewal.keys, known.keys);
    this.#keep(renewal);
    return { renewal, withdrawn: told.withdrawn };
  }

  /** Those of other clusters stay. */
  #adopt(keys: HostKeys, before: HostKeys): void {
    const old = before.sshKeys.map((line) => fromAuthorizedKeyLine(line));
    this.#sshKeys = [
      ...this.#sshKeys.filter((key) => !old.some((one) => one.equals(key))),
      ...keys.sshKeys.map((line) => fromAuthorizedKeyLine(line)),
    ];
    const oldCas = new Set(before.tlsCasPem.map((pem) => pem.trim()));
    this.#tlsCasPem = [...this.#tlsCasPem.filter((pem) => !oldCas.has(pem.trim())), ...keys.tlsCasPem];
  }

  /** If the folder cannot be written, a command still continues with what it learned. */
  #keep(renewal: Renewal): void {
    try {
      this.#store.keep(renewal, this.#io.world.now());
    } catch (e) {
      if (renewal.status === 'renewed' || isCoded(e))
        this.#warn(`the keys that cluster ${this.clusterName} announces cannot be stored: ${messageOf(e)}`);
    }
  }

  #warn(text: string): void {
    this.#io.stderr.write(`WARNING: ${text}\n`);
  }
}

type Told = Pick<AuthoritiesAnswer, 'withdrawn' | 'userSigner'> & {
  readonly judge: (known: KnownCluster) => Judgement;
};

async function ask(learning: Learning, now: Instant): Promise<Told> {
  if ('announced' in learning) {
    const { announcement, withdrawn, userSigner } = await learning.announced();
    return { withdrawn, userSigner, judge: (known) => judgeAnnouncement(announcement, known, now) };
  }
  const keys = await learning.vouched();
  return { withdrawn: [], userSigner: '', judge: (known) => judgeVouched(keys, known) };
}

/** Resolves with it, or when it takes too long for a command that does not need it. */
async function orNot(work: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<undefined>();
  const timer = startTimer(() => {
    late.resolve(undefined);
  }, patienceMs);
  try {
    await Promise.race([work, late.promise]);
  } finally {
    stopTimer(timer);
    work.catch(() => undefined); // nobody waits for it any more, and it changes nothing when it fails
  }
}
