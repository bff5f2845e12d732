import type { Duplex } from 'node:stream';
import { CodedError, isCoded, messageOf } from '../../base/errors.ts';
import { joinStreams } from '../../base/join-streams.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { Metrics } from '../../base/service.ts';
import { startTimer, stopTimer, type Timer } from '../../base/timers.ts';
import { userIdentityOf } from '../../pki/user-certificate.ts';
import type {
  ConnectionHandlers,
  ForwardOpen,
  SessionOpen,
  SessionRequest,
  SshConnection,
} from '../../ssh/cert-server.ts';
import type { ServerSessionChannel, SshChannel } from '../../ssh/channel-types.ts';
import type { ProxyAudit } from '../proxy-audit.ts';
import type { KnownNodes } from '../known-nodes.ts';
import type { Site } from '../sites.ts';
import type { Client, OpenTarget } from './open-target.ts';
import { type AuthTarget, directTarget, type NodeTarget, parseRequestTarget } from './request-target.ts';

export interface RelayDeps {
  readonly openTarget: OpenTarget;
  readonly knownNodes: KnownNodes;
  /** The clusters that are reached here, its own first. */
  readonly sites: () => readonly Site[];
  readonly clusterName: string;
  readonly metrics: Metrics;
  readonly sink: LogSink;
  readonly audit: Pick<ProxyAudit, 'unreachable'>;
}

/** How long the refusal waits for a client that does not read its message. */
const answerMs = 5_000;

type Subsystem = Extract<SessionRequest, { type: 'subsystem' }>;

/**
 * Carries streams to targets over SSH connections: a client asks by subsystem, or by direct-tcpip (`ssh -J`),
 * which are treated alike. `openTarget` decides what may be reached.
 */
export class SshRelay {
  readonly #deps: RelayDeps;
  /** Everything opened for clients that is not closed yet, and what is being opened. */
  readonly #work = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  #carried = 0;

  constructor(deps: RelayDeps) {
    this.#deps = deps;
    this.#count(0);
  }

  /** Streams it carries now. */
  carried(): number {
    return this.#carried;
  }

  /** What one client may do. */
  handlersFor(connection: SshConnection): ConnectionHandlers {
    const client: Client = {
      username: connection.certificate.keyId,
      address: connection.peer.remoteAddress,
      balancer: connection.peer.balancerAddress,
      routeToCluster: userIdentityOf(connection.certificate).routeToCluster,
    };
    const left = new AbortController();
    void connection.closed.then(() => {
      left.abort();
    });
    const asker = { client, connection, left: AbortSignal.any([left.signal, this.#stopping.signal]) };
    return {
      session: (open) => {
        this.#session(open, asker);
      },
      forward: (open) => {
        this.#track(this.#forward(open, asker));
      },
    };
  }

  /**
   * Ends what is still open. To be called when the connections are closed. Resolves when no stream is left.
   */
  async close(): Promise<void> {
    this.#stopping.abort();
    while (this.#work.size > 0) await Promise.all(this.#work);
  }

  #session(open: SessionOpen, asker: Asker): void {
    const channel = open.accept((request) => {
      switch (request.type) {
        // Any variable is accepted, as stock clients send LANG, and so is the agent, which only a recording
        // proxy would use. Neither has an effect here, and refusing them would stop clients that send them as
        // a matter of course.
        case 'env':
        case 'agent-forwarding':
          request.accept();
          return;
        case 'pty':
        case 'shell':
        case 'exec':
          this.#track(this.#refuse(request, channel, this.#noShell(asker.connection)));
          return;
        case 'subsystem':
          this.#track(this.#subsystem(request, channel, asker));
          return;
        // It may still send.
        case 'end-of-write':
          channel.dropOutput();
          request.accept();
          return;
        case 'window-change':
        case 'signal':
        case 'unknown':
          request.reject();
          return;
        default:
          request satisfies never;
      }
    });
  }

  #noShell({ username }: SshConnection): string {
    return (
      `this is the proxy of cluster ${this.#deps.clusterName}: it gives no shell and runs no command.\n` +
      `Reach a machine through it: tsh ssh login@node, or ssh -J ${username}@<this proxy> login@node`
    );
  }

  async #subsystem(request: Subsystem, channel: ServerSessionChannel, asker: Asker): Promise<void> {
    try {
      const target = parseRequestTarget(request.name);
      if (target === undefined)
        throw new CodedError('bad_request', `unrecognized subsystem: ${JSON.stringify(request.name)}`);
      if (target.kind === 'sites' || target.kind === 'known-nodes') {
        const { knownNodes, sites } = this.#deps;
        const { certificate } = asker.connection;
        const text = JSON.stringify(target.kind === 'sites' ? sites() : await knownNodes(certificate));
        request.accept();
        channel.end(text);
        await channel.finish({ status: 'unknown' });
        return;
      }
      const left = new AbortController();
      void channel.gone.then(() => {
        left.abort();
      });
      const stream = await this.#open(target, asker, AbortSignal.any([asker.left, left.signal]));
      request.accept();
      await this.#carry(stream, channel, asker);
    } catch (e) {
      await this.#refuse(request, channel, this.#reasonOf(e));
    }
  }

  async #forward(open: ForwardOpen, asker: Asker): Promise<void> {
    let stream: Duplex;
    try {
      stream = await this.#open(directTarget(open.target), asker, asker.left);
    } catch (e) {
      open.reject('connect_failed', this.#reasonOf(e));
      return;
    }
    await this.#carry(stream, open.accept(), asker);
  }

  async #open(target: NodeTarget | AuthTarget, asker: Asker, signal: AbortSignal): Promise<Duplex> {
    const { openTarget, sink, metrics, audit } = this.#deps;
    const fields = {
      user: asker.connection.certificate.keyId,
      target: target.kind === 'auth' ? `auth of ${target.cluster}` : `${target.host}:${target.port}`,
    };
    try {
      const stream = await openTarget(target, asker.client, signal);
      sink.debug('a relay was opened', fields);
      return stream;
    } catch (e) {
      metrics.add('proxy_ssh_targets_failed_total', 1, { code: isCoded(e) ? e.code : 'bug' });
      const reason = reasonsOf(e);
      sink.info('a relay was refused', { ...fields, reason });
      if (isCoded(e, 'unavailable') && !signal.aborted)
        audit.unreachable(asker.connection, fields.target, reason);
      throw e;
    }
  }

  async #carry(stream: Duplex, channel: SshChannel, { left }: Asker): Promise<void> {
    this.#count(1);
    try {
      await joinStreams(stream, channel, { left, stop: this.#stopping.signal });
    } finally {
      this.#count(-1);
    }
  }

  #count(change: -1 | 0 | 1): void {
    this.#carried += change;
    this.#deps.metrics.set('proxy_ssh_sessions', this.#carried);
  }

  /** Once per channel: the message, then the refusal, then the end. */
  async #refuse(request: SessionRequest, channel: ServerSessionChannel, message: string): Promise<void> {
    if (!channel.stderr.writable) {
      request.reject(); // an earlier request on it was refused, and it is ending
      return;
    }
    // Stock ssh leaves at a refusal without printing what came with it: it must have read the message before.
    await sayAndWait(channel, `${message}\n`);
    request.reject();
    await channel.finish({ status: 'unknown' });
  }

  #reasonOf(e: unknown): string {
    if (isCoded(e)) return e.message;
    this.#deps.sink.error('bug: a relay failed', { reason: messageOf(e), stack: (e as Error).stack });
    return 'internal error';
  }

  #track(work: Promise<void>): void {
    const tracked = work
      .catch((e: unknown) => {
        this.#reasonOf(e);
      })
      .finally(() => this.#work.delete(tracked));
    this.#work.add(tracked);
  }
}

/** Resolves when the client has read the message, is gone, or does not respond. */
async function sayAndWait(channel: ServerSessionChannel, words: string): Promise<void> {
  const sent = new Promise<void>((resolve) => {
    channel.stderr.end(words, resolve);
  });
  const answered = sent.then(() => channel.request('keepalive@openssh.com', Buffer.alloc(0)));
  let limit: Timer | undefined;
  const patience = new Promise<void>((resolve) => (limit = startTimer(resolve, answerMs)));
  await Promise.race([answered, channel.gone, patience]);
  stopTimer(limit);
}

/** With the reasons that the client was not told. */
const reasonsOf = (e: unknown): string =>
  e instanceof Error && e.cause !== undefined ? `${e.message}: ${messageOf(e.cause)}` : messageOf(e);

interface Asker {
  readonly client: Client;
  readonly connection: SshConnection;
  /** Aborted when the client has left, or the proxy stops. */
  readonly left: AbortSignal;
}
