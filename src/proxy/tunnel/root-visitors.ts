import type { Duplex } from 'node:stream';
import { parseHostPort } from '../../base/addresses.ts';
import { CodedError, isCoded, messageOf } from '../../base/errors.ts';
import { joinStreams } from '../../base/join-streams.ts';
import type { LogSink } from '../../base/log-sink.ts';
import { unprovedName } from '../../base/unproved-text.ts';
import { FinalRefusal } from '../../tunnel/frame-bodies.ts';
import type { Asked } from '../../tunnel/link-options.ts';
import { leafTold, linkWishOf, type LeafRequest } from '../../tunnel/link-wish.ts';
import type { ProxyAudit } from '../proxy-audit.ts';
import type { OpenTarget } from '../ssh/open-target.ts';

export interface RootVisitorsDeps {
  /** Of this cluster, the leaf. */
  readonly clusterName: string;
  /** Opens what this proxy opens for its own clients, except what is not of this cluster. */
  readonly openTarget: OpenTarget;
  readonly audit: Pick<ProxyAudit, 'unreachableFrom'>;
  /** UUIDs. */
  readonly newSessionId: () => string;
  readonly sink: LogSink;
}

interface Opened {
  readonly stream: Duplex;
  /** What the root is told of it. */
  readonly told: unknown;
}

/**
 * People of a root, as a proxy of it names them. Nothing is decided by that name: a node, or an auth server,
 * admits them itself, by their certificate.
 */
export class RootVisitors {
  readonly #deps: RootVisitorsDeps;
  readonly #carried = new Set<Promise<void>>();

  constructor(deps: RootVisitorsDeps) {
    this.#deps = deps;
  }

  /** Opens what a proxy of the root wants. */
  answer(root: string, asked: Asked): void {
    this.#open(root, asked).then(
      ({ stream, told }) => {
        const joined = joinStreams(asked.accept(told), stream);
        this.#carried.add(joined);
        void joined.then(() => this.#carried.delete(joined));
      },
      (e: unknown) => {
        if (!isCoded(e))
          this.#deps.sink.error('bug: a stream for another cluster could not be opened', {
            cluster: root,
            reason: messageOf(e),
          });
        asked.refuse(
          isCoded(e) ? new FinalRefusal(e.code, e.message) : new CodedError('internal', 'this proxy failed'),
        );
      },
    );
  }

  /** Resolves when nobody is left, at the latest when the time is `over`. */
  async gone(over?: Promise<void>): Promise<void> {
    const last = async (): Promise<void> => {
      while (this.#carried.size > 0) await Promise.all(this.#carried);
    };
    await (over === undefined ? last() : Promise.race([last(), over]));
  }

  async #open(root: string, { wish, signal }: Asked): Promise<Opened> {
    const wanted = linkWishOf(wish);
    if (wanted.to !== 'inside')
      throw new CodedError('access_denied', 'this is not opened for a machine of another cluster');
    const { clusterName, openTarget, sink, audit, newSessionId } = this.#deps;
    const username = `${root}/${unprovedName(wanted.username)}`;
    const address = parseHostPort(wanted.client, 0);
    const fields = { user: username, target: textOf(wanted.target) };
    const session = wanted.target.kind === 'node' ? newSessionId() : undefined;
    try {
      // Never into a leaf of this cluster: trust ends with those who gave it.
      const target = { ...wanted.target, cluster: clusterName };
      const visitor = { username, address, routeToCluster: '', session };
      const stream = await openTarget(target, visitor, signal);
      sink.debug('a stream was opened for somebody of another cluster', fields);
      return { stream, told: session === undefined ? undefined : leafTold(session) };
    } catch (e) {
      const reason = messageOf(e instanceof Error && e.cause !== undefined ? e.cause : e);
      sink.info('a stream for somebody of another cluster was refused', { ...fields, reason });
      if (isCoded(e, 'unavailable') && !signal.aborted)
        audit.unreachableFrom({ ...fields, address, error: reason });
      throw e;
    }
  }
}

const textOf = (target: LeafRequest['target']): string =>
  target.kind === 'auth' ? 'an auth server' : `${target.host}:${target.port}`;
