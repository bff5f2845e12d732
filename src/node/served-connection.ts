import { CodedError, messageOf } from '../base/errors.ts';
import { second } from '../base/duration.ts';
import { checkServerAccess } from '../domain/access.ts';
import { catalogue } from '../domain/audit-catalogue.ts';
import { joinLogin, joinModesOf } from '../domain/join-session.ts';
import type { JoinMode } from '../domain/role-joining.ts';
import {
  type ConnectionHandlers,
  type ForwardOpen,
  maxChannels,
  type SessionOpen,
  type SshConnection,
} from '../ssh/cert-server.ts';
import { ConnectionAgent } from './agent-socket.ts';
import { Deadline } from './connection-limits.ts';
import { idleTimeout } from './idle-timeout.ts';
import type { Grant } from './access-request.ts';
import type { SharedAbout } from './joining/shared-terminal.ts';
import { loginAccount } from './login-account.ts';
import type { AuditSubject } from './node-audit.ts';
import { forwardPort } from './port-forward.ts';
import { Session } from './session.ts';
import type { NodeContext, SessionName } from './session-context.ts';

export interface ServedOptions {
  readonly context: NodeContext;
  readonly connection: SshConnection;
  /** What this person may do here now. @throws CodedError when that is nothing any more. */
  readonly decide: () => Grant;
  readonly grant: Grant;
  /**
   * What somebody is told who is not to be here any more by a lock or a deletion; undefined where there is
   * neither.
   */
  readonly lastWords: {
    readonly onConnection: () => string | undefined;
    readonly onSession: (sessionId: string) => string | undefined;
  };
}

/** Channels of one connection: open, released but not closed yet, or being refused. */
const maxWork = 2 * maxChannels;

const unanswered = 'client did not answer keep-alive messages';

/** One person's connection: its sessions, its forwards, and what ends it. */
export class ServedConnection {
  readonly handlers: ConnectionHandlers;
  /** Resolves when it is closed and everything that ran on it has ended. */
  readonly ended: Promise<void>;
  readonly #options: ServedOptions;
  readonly #subject: AuditSubject;
  readonly #work = new Set<Promise<void>>();
  readonly #deadlines: Deadline[] = [];
  readonly #left = new AbortController();
  readonly #agent: ConnectionAgent;
  /** A session has the id that a proxy of ours gave to the connection. */
  #isNamed = false;
  #grant: Grant;
  readonly #sessions = new Set<Session>();
  readonly #began = performance.now();
  #lastActivity = performance.now();
  #cut = false;

  constructor(options: ServedOptions) {
    const { connection, grant, context } = options;
    this.#options = options;
    this.#grant = grant;
    this.#subject = {
      username: grant.username,
      login: grant.login,
      peer: connection.peer,
      requestId: context.world.uuid(),
      mayEnterOnFullDisk: () => this.#grant.options.enterOnFullDisk,
      recordSession: () => this.#grant.options.recordSession,
    };
    this.#agent = new ConnectionAgent(async () => {
      if (!this.#mayLendAgent())
        throw new CodedError('access_denied', 'the agent may no longer be forwarded');
      return connection.openAgent();
    });
    this.handlers = {
      session: (open) => {
        this.#openSession(open);
      },
      forward: (open) => {
        this.#openForward(open);
      },
    };
    this.#setLimits();
    this.ended = this.#untilEnd();
  }

  /** How many channels of each kind are open now, and for how long it has been connected. */
  report(): { readonly sessions: number; readonly forwards: number; readonly ageSeconds: number } {
    const ageSeconds = Math.round((performance.now() - this.#began) / second);
    return { sessions: this.#sessions.size, forwards: this.#work.size - this.#sessions.size, ageSeconds };
  }

  /**
   * To be called when something changed in the cluster: a lock, a deletion or a changed role ends what is not
   * allowed any more.
   */
  reconsider(): void {
    try {
      this.#grant = this.#options.decide();
    } catch (e) {
      // Of a lock its message is told, and of a deletion that it took place. Of the rest nothing is.
      this.#disconnect(messageOf(e), this.#options.lastWords.onConnection());
    }
    for (const session of this.#sessions) {
      const locked = this.#options.lastWords.onSession(session.sessionId);
      if (locked !== undefined) session.endFor(locked);
      session.reconsider();
    }
  }

  #setLimits(): void {
    const { connection, context } = this.#options;
    const { clientIdleTimeoutSeconds: idle, disconnectExpiredCert } = this.#grant.options;
    const idleLimit = idleTimeout({
      timeoutSeconds: idle,
      lastActivity: () => this.#lastActivity,
      disconnect: (reason) => {
        this.#disconnect(reason, reason);
      },
    });
    if (idleLimit !== undefined) this.#deadlines.push(idleLimit);
    const { validBefore } = connection.certificate;
    if (disconnectExpiredCert && validBefore < BigInt(Number.MAX_SAFE_INTEGER) / 1000n) {
      const begun = performance.now();
      const left = Number(validBefore) * second - Date.parse(context.world.now());
      this.#deadlines.push(
        new Deadline(
          left,
          () => begun,
          () => {
            const at = new Date(Number(validBefore) * second).toISOString();
            this.#disconnect(`client certificate expired at ${at}`, 'the certificate has expired');
          },
        ),
      );
    }
  }

  /** `words` are told on each terminal before. */
  #disconnect(reason: string, words: string | undefined): void {
    if (this.#cut) return;
    this.#cut = true;
    const { context, connection } = this.#options;
    if (words !== undefined) for (const session of this.#sessions) session.tell(words);
    void context.audit.afterwards(this.#subject, catalogue.clientDisconnect({ reason }));
    connection.close(words ?? 'access was withdrawn');
  }

  async #untilEnd(): Promise<void> {
    const { connection, context } = this.#options;
    await connection.closed;
    if (connection.wentSilent)
      void context.audit.afterwards(this.#subject, catalogue.clientDisconnect({ reason: unanswered }));
    this.#left.abort();
    for (const deadline of this.#deadlines) deadline.cancel();
    await this.#agent.close().catch((e: unknown) => {
      context.sink.warn('the socket of an agent could not be removed', { reason: messageOf(e) });
    });
    while (this.#work.size > 0) await Promise.all(this.#work);
  }

  #joinModes({ user, login, roleNames }: SharedAbout): ReadonlySet<JoinMode> {
    const { username, roles, traits } = this.#grant;
    const labels = this.#options.context.labels();
    const access = checkServerAccess({ roles, traits, login, labels });
    return joinModesOf({
      roles,
      isOwner: user === username,
      mayLogIn: access.status === 'allowed',
      ownerRoles: roleNames(),
    });
  }

  #mayLendAgent(): boolean {
    return this.#options.connection.permits.agentForwarding && this.#grant.options.forwardAgent;
  }

  readonly #touch = (): void => {
    this.#lastActivity = performance.now();
  };

  #track(work: Promise<void>): Promise<void> {
    this.#work.add(work);
    return work.finally(() => this.#work.delete(work));
  }

  /** A refusal counts until it is recorded: nobody can make requests faster than the audit accepts them. */
  #isFlood(): boolean {
    if (this.#work.size < maxWork) return false;
    this.#disconnect(`more than ${maxWork} channels asked for at once`, 'too many channels asked for');
    return true;
  }

  #openSession(open: SessionOpen): void {
    if (this.#isFlood()) return;
    const { context, connection } = this.#options;
    const { username, options } = this.#grant;
    const max = options.maxSessions;
    if (max > 0 && this.#sessions.size >= max) {
      open.reject('prohibited', `too many session channels for user "${username}" (max=${max})`);
      void this.#track(
        context.audit.afterwards(
          this.#subject,
          catalogue.sessionRejected({ reason: 'max_sessions limit reached', max }),
        ),
      );
      return;
    }
    this.#touch();
    const session = new Session(
      {
        ...context,
        connection,
        subject: this.#subject,
        nameSession: () => this.#nameSession(),
        left: this.#left.signal,
        mayLendAgent: () => this.#mayLendAgent(),
        agent: this.#agent,
        roleNames: () => this.#grant.roles.map(({ name }) => name),
        mayJoin: (about) => this.#joinModes(about),
        onActivity: this.#touch,
        idleMs: () => performance.now() - this.#lastActivity,
      },
      open,
    );
    this.#sessions.add(session);
    void this.#track(
      session.ended.then(() => {
        this.#sessions.delete(session);
      }),
    );
  }

  #nameSession(): SessionName {
    const { connection, context } = this.#options;
    const { sessionId } = connection.peer;
    if (sessionId === undefined) return { id: context.world.uuid() };
    if (this.#isNamed) return { id: context.world.uuid(), connectedAs: sessionId };
    this.#isNamed = true;
    return { id: sessionId };
  }

  #openForward(open: ForwardOpen): void {
    if (this.#isFlood()) return;
    const { context, connection } = this.#options;
    this.#touch();
    void this.#track(
      forwardPort(
        {
          audit: context.audit,
          subject: this.#subject,
          refusal: () =>
            connection.permits.portForwarding &&
            this.#grant.options.portForwarding &&
            this.#grant.login !== joinLogin
              ? undefined
              : 'port forwarding not allowed',
          account: () => loginAccount(context, this.#subject),
          libc: context.libc,
          lookUpName: context.lookUpName,
          onActivity: this.#touch,
          left: this.#left.signal,
          stop: context.stop,
        },
        open,
      ).catch((e: unknown) => {
        context.sink.error('a forwarded port failed', { reason: messageOf(e), stack: (e as Error).stack });
      }),
    );
  }
}
