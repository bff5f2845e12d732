import { isCoded, messageOf } from '../base/errors.ts';
import type { ExitStatus, ServerSessionChannel, WindowSize } from '../ssh/channel-types.ts';
import type { SessionOpen, SessionRequest } from '../ssh/cert-server.ts';
import { maxArgumentBytes } from '../machine/program-line.ts';
import { usableSize } from '../machine/pty.ts';
import { beginRecording } from './begin-recording.ts';
import type { SessionRecording } from './recording/session-recordings.ts';
import { SessionAudit } from './session-audit.ts';
import { JoinWish, serveGuest, type ServedGuest } from './joining/serve-guest.ts';
import { shareTerminal } from './joining/share-terminal.ts';
import type { SharedTerminal } from './joining/shared-terminal.ts';
import { exitText } from './recording/exit-text.ts';
import type { SessionContext } from './session-context.ts';
import { launch, type Launched } from './launch.ts';
import { planOf, type Plan } from './session-plan.ts';

type Start = Extract<SessionRequest, { type: 'shell' | 'exec' | 'subsystem' }>;
export type Terminal = Pick<Extract<SessionRequest, { type: 'pty' }>, 'term' | 'modes'>;

const maxVariables = 512;
/** The system accepts half of this for one variable, and more for all together. */
const maxVariableBytes = 256 * 1024;
const hangUpGraceMs = 2_000;

/** One session channel, from the client's first request on it until the program has ended. */
export class Session {
  /** Resolves when the channel is closed, the program has ended and the audit has it. Never rejects. */
  readonly ended: Promise<void>;
  readonly #context: SessionContext;
  #started = false;
  readonly #channel: ServerSessionChannel;
  readonly #audit: SessionAudit;
  readonly #variables = new Map<string, string>();
  #variableBytes = 0;
  #terminal: Terminal | undefined;
  #size: WindowSize = { columns: 80, rows: 25, widthPixels: 0, heightPixels: 0 };
  #lendsAgent = false;
  #launched: Launched | undefined;
  #recording: SessionRecording | undefined;
  readonly #joinWish = new JoinWish();
  /** Of the session of another person, which is joined. */
  #guest: ServedGuest | undefined;
  /** Its terminal, which others may join. */
  #shared: SharedTerminal | undefined;
  /** Whether the client has stopped reading the output. */
  #unread = false;
  readonly #locked = Promise.withResolvers<string>();
  #end: () => void = () => undefined;

  constructor(context: SessionContext, open: SessionOpen) {
    this.#context = context;
    this.#audit = new SessionAudit(context);
    const over = new Promise<void>((resolve) => {
      this.#end = resolve;
    });
    this.#channel = open.accept((request) => {
      this.#answer(request);
    });
    this.#channel.on('error', () => undefined); // the connection broke: `gone` reports it
    this.#channel.stderr.on('error', () => undefined);
    this.ended = over;
    // A channel on which nothing was ever started.
    void this.#channel.gone.then(() => {
      if (!this.#started) this.#end();
    });
  }

  /** Its id in the audit, by which it can be locked. */
  get sessionId(): string {
    return this.#audit.sessionId;
  }

  /** On its stderr, behind the output of the program. */
  tell(text: string): void {
    this.#channel.stderr.write(`${text}${this.#terminal === undefined ? '\n' : '\r\n'}`);
  }

  /** Ends the program, and tells the client why. Later requests are refused. */
  endFor(reason: string): void {
    this.#locked.resolve(reason);
  }

  /** To be called when roles have changed: who may take part in a session no longer leaves it. */
  reconsider(): void {
    const refusal = this.#guest?.refusal();
    if (refusal !== undefined) this.endFor(refusal);
  }

  #answer(request: SessionRequest): void {
    switch (request.type) {
      case 'env':
        this.#keepVariable(request);
        return;
      case 'pty':
        this.#takeTerminal(request);
        return;
      case 'window-change':
        this.#resize(request.size);
        request.accept();
        return;
      case 'agent-forwarding':
        // Each is answered: who asks twice would wait for ever, and so would all who ask behind.
        if (answerWith(request, this.#context.mayLendAgent())) this.#lendsAgent = true;
        return;
      case 'signal':
        void this.#signal(request);
        return;
      case 'end-of-write':
        this.#stopOutput();
        request.accept();
        return;
      case 'unknown':
        request.reject();
        return;
      case 'shell':
      case 'exec':
      case 'subsystem':
        this.#begin(request);
    }
  }

  /** A client may name any variable; those that it may not set are refused, which clients do not mind. */
  #keepVariable(request: Extract<SessionRequest, { type: 'env' }>): void {
    const { name, value } = request;
    this.#variableBytes += Buffer.byteLength(name) + Buffer.byteLength(value);
    const isHeard = this.#joinWish.keep(name, value);
    const room = this.#variables.size < maxVariables && this.#variableBytes < maxVariableBytes;
    const fits = Buffer.byteLength(`${name}=${value}`) <= maxArgumentBytes;
    const isKept = room && fits && this.#context.acceptsVariable(name, value);
    if (isKept) this.#variables.set(name, value);
    answerWith(request, isKept || isHeard);
  }

  #takeTerminal(request: Extract<SessionRequest, { type: 'pty' }>): void {
    const { libc } = this.#context;
    if (!this.#context.connection.permits.pty) request.reject('terminals are not allowed by the certificate');
    else if (libc.status === 'unavailable') request.reject(libc.reason);
    else if (this.#terminal !== undefined || this.#started) request.reject('there is a terminal already');
    else {
      this.#terminal = { term: request.term, modes: request.modes };
      this.#size = usableSize(request.size);
      request.accept();
    }
  }

  async #signal(request: Extract<SessionRequest, { type: 'signal' }>): Promise<void> {
    answerWith(request, (await this.#launched?.process.signal(request.name)) === true);
  }

  #resize(size: WindowSize): void {
    if (this.#terminal === undefined) return;
    this.#size = usableSize(size);
    this.#guest?.resize(this.#size);
    if (this.#launched === undefined) return;
    this.#launched.resize(this.#size);
    this.#audit.resized(this.#size);
  }

  #stopOutput(): void {
    this.#unread = true;
    this.#channel.dropOutput();
    this.#launched?.stopOutput();
  }

  #begin(request: Start): void {
    const plan = planOf(request, this.#context.connection.permits.forceCommand, this.#context.filePrograms);
    if (plan === undefined) {
      const name = request.type === 'subsystem' ? request.name : '';
      request.reject(`unrecognized subsystem: ${name}`);
      this.#started = true;
      void this.#channel
        .finish({ status: 'unknown' })
        .then(() => this.#audit.subsystemRefused(name))
        .finally(this.#end);
      return;
    }
    this.#started = true;
    request.accept();
    this.#serve(plan)
      .catch((e: unknown) => {
        this.#context.sink.error('a session failed', { reason: messageOf(e), stack: (e as Error).stack });
        void this.#channel.finish({ status: 'exited', code: 255 });
      })
      .finally(this.#end);
  }

  async #serve(plan: Plan): Promise<void> {
    if (await this.#servesGuest(plan)) return;
    const { outcome, started } = await this.#run(plan);
    this.#shared?.over(outcome.exit);
    if (outcome.failure !== undefined) this.#channel.stderr.write(`${outcome.failure}\n`);
    const told = this.#channel.finish(outcome.exit);
    if (started) await this.#tellEnd(plan, outcome);
    await told;
  }

  #servesGuest(plan: Plan): Promise<boolean> {
    return serveGuest(this.#context, {
      ...{ channel: this.#channel, wish: this.#joinWish, plan, cut: this.#locked.promise },
      size: this.#terminal === undefined ? undefined : this.#size,
      onJoined: (guest) => {
        this.#guest = guest;
      },
    });
  }

  async #tellEnd(plan: Plan, outcome: Outcome): Promise<void> {
    const recorded = await this.#recording?.end(exitText(outcome.exit));
    await this.#audit.ended(plan, outcome, { recorded, participants: this.#shared?.participants });
    this.#recording?.told();
  }

  /** Whatever happens inside: a session that was recorded as started ends with an outcome. */
  async #run(plan: Plan): Promise<{ outcome: Outcome; started: boolean }> {
    try {
      // Recorded before it begins; when it cannot be recorded it does not begin.
      await this.#audit.started(plan, this.#terminal === undefined ? undefined : this.#size);
    } catch (e) {
      const why = isCoded(e) ? e.message : this.#bug(e);
      return {
        outcome: failed(`Failed to launch: the session cannot be recorded in the audit log: ${why}.`),
        // It may have been recorded nevertheless: then its end is recorded, too.
        started: isCoded(e, 'unavailable'),
      };
    }
    let over: (() => void) | undefined;
    try {
      const audit = this.#audit;
      if (this.#terminal !== undefined) {
        const { term } = this.#terminal;
        const beginning = { audit, command: plan.command, term, size: this.#size };
        this.#recording = await beginRecording(this.#context, beginning);
        over = this.#share();
      }
      this.#launched = await launch(this.#context, {
        plan,
        audit,
        recording: this.#recording,
        shared: this.#shared,
        channel: this.#channel,
        variables: this.#variables,
        terminal: this.#terminal,
        size: () => this.#size,
        lendsAgent: this.#lendsAgent,
      });
      if (this.#unread) this.#launched.stopOutput();
      return { outcome: await this.#untilEnd(this.#launched), started: true };
    } catch (e) {
      this.#launched?.close();
      void this.#launched?.process.hangUp(hangUpGraceMs).catch(() => undefined); // `#bug` has logged what is wrong
      return {
        outcome: failed(isCoded(e) ? e.message : `Failed to launch: ${this.#bug(e)}.`),
        started: true,
      };
    } finally {
      over?.();
    }
  }

  /** While it runs it is in the lists of the cluster, and others may join it. */
  #share(): () => void {
    const { terminal, over } = shareTerminal(this.#context, {
      ...{ sid: this.sessionId, size: this.#size, recording: this.#recording },
      nextIndex: () => this.#audit.nextIndex(),
      tell: (text) => {
        this.tell(text);
      },
      end: (reason) => {
        this.endFor(reason);
      },
    });
    this.#shared = terminal;
    return over;
  }

  #bug(e: unknown): string {
    this.#context.sink.error('a session failed', { reason: messageOf(e), stack: (e as Error).stack });
    return 'an internal error, which the log of the server has';
  }

  /**
   * Until the program has ended and its output has reached the client, who gets the exit status as soon as it
   * is known, because programs left behind may keep the output open for long. Or until the client is gone, or
   * the program's actions cannot be recorded, and the program is ended.
   */
  async #untilEnd(launched: Launched): Promise<Outcome> {
    const { process } = launched;
    let cutOff = false;
    const done = process.ended.then((exit) => {
      if (!cutOff) this.#channel.tellExit(exit);
      return launched.outputDone();
    });
    const finished = done.then(() => ({ status: 'finished' }) as const);
    const left = this.#channel.gone.then(() => ({ status: 'left' }) as const);
    const cut = launched.cut.then((reason) => ({ status: 'cut', reason: `ended: ${reason}` }) as const);
    const locked = this.#locked.promise.then((reason) => ({ status: 'cut', reason }) as const);
    const first = await Promise.race([finished, left, cut, locked]);
    if (first.status !== 'finished') {
      cutOff = true; // by us, which is not how it would have ended
      launched.close();
      await process.hangUp(hangUpGraceMs);
    }
    await done;
    launched.close();
    return first.status === 'cut' ? failed(first.reason) : { exit: await process.ended };
  }
}

function answerWith(request: SessionRequest, ok: boolean): boolean {
  if (ok) request.accept();
  else request.reject();
  return ok;
}

export interface Outcome {
  readonly exit: ExitStatus;
  /** Why nothing ran: for the client and the audit. */
  readonly failure?: string;
}

const failed = (failure: string): Outcome => ({ exit: { status: 'exited', code: 255 }, failure });
