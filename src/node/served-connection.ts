import { messageOf } from '../base/errors.ts';
import { second } from '../base/duration.ts';
import type { ConnectionHandlers, ForwardOpen, SessionOpen, SshConnection } from '../ssh/cert-server.ts';
import { Deadline } from './connection-limits.ts';
import type { Grant } from './decide-access.ts';
import { loginAccount } from './login-account.ts';
import type { AuditSubject } from './node-audit.ts';
import { forwardPort } from './port-forward.ts';
import { Session } from './session.ts';
import type { NodeContext } from './session-context.ts';

export interface ServedOptions {
  readonly context: NodeContext;
  readonly connection: SshConnection;
  /** What this person may do here, by what is known now. @throws CodedError when it is nothing any more. */
  readonly decide: () => Grant;
  readonly grant: Grant;
}

/** Channels of one connection, open or being refused. */
const maxWork = 1024;

/** One person's connection: its sessions, its forwards, and what ends it. */
export class ServedConnection {
  readonly handlers: ConnectionHandlers;
  /** Resolves when it is closed and all that ran on it has ended. */
  readonly ended: Promise<void>;
  readonly #options: ServedOptions;
  readonly #subject: AuditSubject;
  readonly #work = new Set<Promise<void>>();
  readonly #deadlines: Deadline[] = [];
  #grant: Grant;
  #sessions = 0;
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
    };
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

  /** How many channels of each kind are open now, and how long it is connected. */
  report(): { readonly sessions: number; readonly forwards: number; readonly ageSeconds: number } {
    const ageSeconds = Math.round((performance.now() - this.#began) / second);
    return { sessions: this.#sessions, forwards: this.#work.size - this.#sessions, ageSeconds };
  }

  /** To be called when something changed in the cluster: a lock, a deletion or a role ends what it no longer allows. */
  reconsider(): void {
    try {
      this.#grant = this.#options.decide();
    } catch (e) {
      this.#disconnect(messageOf(e), 'access was withdrawn');
    }
  }

  #setLimits(): void {
    const { connection, context } = this.#options;
    const { clientIdleTimeoutSeconds: idle, disconnectExpiredCert } = this.#grant.options;
    if (idle > 0)
      this.#deadlines.push(
        new Deadline(
          idle * second,
          () => this.#lastActivity,
          () => {
            const quiet = Math.round((performance.now() - this.#lastActivity) / second);
            const reason = `client is idle for ${quiet}s, exceeded idle timeout of ${idle}s`;
            this.#disconnect(reason, reason);
          },
        ),
      );
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

  #disconnect(reason: string, told: string): void {
    if (this.#cut) return;
    this.#cut = true;
    const { context, connection } = this.#options;
    void context.audit.afterwards(this.#subject, { event: 'client.disconnect', code: 'T3006I', reason });
    connection.close(told);
  }

  async #untilEnd(): Promise<void> {
    await this.#options.connection.closed;
    for (const deadline of this.#deadlines) deadline.cancel();
    while (this.#work.size > 0) await Promise.all(this.#work);
  }

  readonly #touch = (): void => {
    this.#lastActivity = performance.now();
  };

  #track(work: Promise<void>): Promise<void> {
    this.#work.add(work);
    return work.finally(() => this.#work.delete(work));
  }

  /** What was refused counts until it is on record: nobody can ask faster than the audit takes it. */
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
    if (max > 0 && this.#sessions >= max) {
      open.reject('prohibited', `too many session channels for user "${username}" (max=${max})`);
      void this.#track(
        context.audit.afterwards(this.#subject, {
          event: 'session.rejected',
          code: 'T1006W',
          reason: 'max_sessions limit reached',
          max,
        }),
      );
      return;
    }
    this.#touch();
    this.#sessions++;
    const session = new Session(
      {
        ...context,
        connection,
        subject: this.#subject,
        mayLendAgent: () => connection.permits.agentForwarding && this.#grant.options.forwardAgent,
        onActivity: this.#touch,
      },
      open,
    );
    void this.#track(
      session.ended.then(() => {
        this.#sessions--;
      }),
    );
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
            connection.permits.portForwarding && this.#grant.options.portForwarding
              ? undefined
              : 'port forwarding not allowed',
          account: () => loginAccount(context, this.#subject),
          libc: context.libc,
          onActivity: this.#touch,
        },
        open,
      ).catch((e: unknown) => {
        context.sink.error('a forwarded port failed', { reason: messageOf(e), stack: (e as Error).stack });
      }),
    );
  }
}
