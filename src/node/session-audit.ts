import type { Instant } from '../base/time.ts';
import { catalogue } from '../domain/audit-catalogue.ts';
import type { EventBody } from '../domain/audit-kind.ts';
import type { ExitStatus, WindowSize } from '../ssh/channel-types.ts';
import type { FileTransfer } from '../transfer/sftp-tap.ts';
import type { InSession } from './node-audit.ts';
import type { Recorded } from './recording/session-recordings.ts';
import type { SessionContext } from './session-context.ts';
import type { Plan } from './session-plan.ts';

/** Bytes from and to the client. */
export interface Traffic {
  received: number;
  sent: number;
}

/**
 * `ei` of `session.data`, which comes after every other event of its session.
 * Source: audit log of 4.4.
 */
const lastIndex = 2_147_483_646;

const sizeText = ({ columns, rows }: WindowSize): string => `${columns}:${rows}`;

/** The events of one session, counted from 0. */
export class SessionAudit {
  /** Never one that the client chose: that could be the id of somebody else's session. */
  readonly sessionId: string;
  readonly traffic: Traffic = { received: 0, sent: 0 };
  /** By this machine; `started` sets it. */
  get startedAt(): Instant {
    return this.#startedAt;
  }
  readonly #context: SessionContext;
  readonly #connectedAs: string | undefined;
  #startedAt: Instant;
  #size: WindowSize | undefined;
  #resizing: Promise<void> | undefined;
  #next = 0;

  constructor(context: SessionContext) {
    this.#context = context;
    const { id, connectedAs } = context.nameSession();
    this.sessionId = id;
    this.#connectedAs = connectedAs;
    this.#startedAt = context.world.now();
  }

  /** @throws CodedError when the audit does not accept it. */
  async started(plan: Plan, size: WindowSize | undefined): Promise<void> {
    this.#startedAt = this.#context.world.now();
    this.#size = size;
    await this.#context.audit.record(
      this.#context.subject,
      catalogue.sessionStart({
        ...(size === undefined ? {} : { size: sizeText(size) }),
        ...(plan.command === '' ? {} : { command: plan.command }),
        ...(plan.original === undefined ? {} : { original_command: plan.original }),
        ...(this.#connectedAs === undefined ? {} : { connected_as: this.#connectedAs }),
        server_labels: this.#context.labels(),
      }),
      this.#within(),
    );
  }

  /**
   * While one size is being recorded only the newest is kept: a client can send them faster than any disk
   * stores them.
   */
  resized(size: WindowSize): void {
    if (this.#size !== undefined && sizeText(this.#size) === sizeText(size)) return;
    this.#size = size;
    this.#resizing ??= this.#tellSizes().finally(() => {
      this.#resizing = undefined;
    });
  }

  async #tellSizes(): Promise<void> {
    for (let told: WindowSize | undefined; told !== this.#size && this.#size !== undefined;) {
      told = this.#size;
      await this.#afterwards(catalogue.terminalResize({ size: sizeText(told) }));
    }
  }

  /** One file moved by sftp. */
  transferred({ path, direction, bytes, result }: FileTransfer): Promise<void> {
    return this.#afterwards(
      moved({
        path,
        action: direction,
        command: 'sftp',
        bytes,
        ...(result.status === 'done' ? { exitCode: '0' } : { exitCode: '1', exitError: result.reason }),
      }),
    );
  }

  subsystemRefused(name: string): Promise<void> {
    return this.#afterwards(
      catalogue.subsystemFailure({ name, exitError: `unrecognized subsystem: ${name}` }),
    );
  }

  /** Number of the next event of this session, which another connection tells. */
  nextIndex(): number {
    return this.#next++;
  }

  /** It does not begin, or ends, since it cannot be recorded. */
  recordingFailed(reason: string): Promise<void> {
    return this.#afterwards(catalogue.recordingFailed({ reason }));
  }

  /** The program has ended, or could not be started (`failure`). */
  async ended(
    plan: Plan,
    outcome: { exit: ExitStatus; failure?: string },
    {
      recorded,
      participants = [this.#context.subject.username],
    }: { recorded?: Recorded | undefined; participants?: readonly string[] | undefined } = {},
  ): Promise<void> {
    await this.#resizing;
    const told = [this.#program(plan, outcome)];
    const bytes = recorded?.lostBytes ?? 0;
    if (bytes > 0) told.push(this.#afterwards(catalogue.recordingGap({ bytes })));
    told.push(
      this.#afterwards(
        catalogue.sessionEnd({
          interactive: this.#size !== undefined,
          enhanced_recording: false,
          participants: [...participants],
          session_start: this.#startedAt,
          session_stop: this.#context.world.now(),
          ...(recorded && recordedFields(recorded)),
        }),
      ),
      this.#afterwards(
        catalogue.sessionData({ rx: this.traffic.received, tx: this.traffic.sent }),
        this.#within(lastIndex),
      ),
    );
    await Promise.all(told);
  }

  #program(plan: Plan, outcome: { exit: ExitStatus; failure?: string }): Promise<void> {
    const result = resultFields(outcome);
    switch (plan.kind) {
      case 'shell':
        // A shell's own exit status means nothing; that it did not start does.
        return outcome.failure === undefined
          ? Promise.resolve()
          : this.#afterwards(catalogue.execFailure({ command: '', ...result }));
      case 'exec': {
        const kind = result.exitError === undefined ? catalogue.exec : catalogue.execFailure;
        return this.#afterwards(kind({ command: plan.command, ...result }));
      }
      case 'sftp':
        return this.#afterwards(ofSftp(result));
      case 'scp': {
        const { direction, path } = plan.scp;
        return this.#afterwards(moved({ path, action: direction, command: plan.command, ...result }));
      }
    }
  }

  #afterwards(body: EventBody, within = this.#within()): Promise<void> {
    return this.#context.audit.afterwards(this.#context.subject, body, within);
  }

  #within(ei = this.#next++): InSession {
    return { sid: this.sessionId, ei };
  }
}

const recordedFields = (recorded: Recorded) => ({
  session_recording: recorded.mode,
  recording_head: recorded.head,
  recording_chunks: recorded.chunks,
  recording_bytes: recorded.bytes,
  recording_lost_bytes: recorded.lostBytes,
});

interface Result {
  readonly exitCode: string;
  /** Of a failed operation. */
  readonly exitError?: string;
}

const ofSftp = ({ exitCode, exitError }: Result): EventBody =>
  exitError === undefined
    ? catalogue.subsystem({ name: 'sftp', exitCode })
    : catalogue.subsystemFailure({ name: 'sftp', exitCode, exitError });

/** A file transfer that succeeded or failed. */
function moved(fields: Parameters<typeof catalogue.scpUpload>[0]): EventBody {
  const done = fields.exitError === undefined;
  if (fields.action === 'download')
    return done ? catalogue.scpDownload(fields) : catalogue.scpDownloadFailure(fields);
  return done ? catalogue.scpUpload(fields) : catalogue.scpUploadFailure(fields);
}

function resultFields({ exit, failure }: { exit: ExitStatus; failure?: string }): Result {
  if (failure !== undefined) return { exitCode: '255', exitError: failure };
  switch (exit.status) {
    case 'exited':
      return exit.code === 0
        ? { exitCode: '0' }
        : { exitCode: String(exit.code), exitError: `exit status ${exit.code}` };
    case 'signalled':
      return { exitCode: '255', exitError: `signal: ${exit.signal}` };
    case 'unknown':
      return { exitCode: '255', exitError: 'it is not known how it ended' };
  }
}
