import type { Instant } from '../base/time.ts';
import type { ExitStatus, WindowSize } from '../ssh/channel-types.ts';
import type { FileTransfer } from '../ssh/sftp-tap.ts';
import type { Happening } from './node-audit.ts';
import type { SessionContext } from './session-context.ts';
import type { Plan } from './session-plan.ts';

/** Bytes from and to the client. */
export interface Traffic {
  received: number;
  sent: number;
}

/** `ei` of `session.data`, which comes after everything else of its session. Source: audit log of 4.4. */
const lastIndex = 2_147_483_646;

const sizeText = ({ columns, rows }: WindowSize): string => `${columns}:${rows}`;

/** The events of one session, counted from 0. */
export class SessionAudit {
  /** Always a fresh one: an id that the client chose could be that of somebody else's session. */
  readonly sessionId: string;
  readonly traffic: Traffic = { received: 0, sent: 0 };
  readonly #context: SessionContext;
  #startedAt: Instant;
  #size: WindowSize | undefined;
  #resizing: Promise<void> | undefined;
  #next = 0;

  constructor(context: SessionContext) {
    this.#context = context;
    this.sessionId = context.world.uuid();
    this.#startedAt = context.world.now();
  }

  /** @throws CodedError when the audit does not take it. */
  async started(plan: Plan, size: WindowSize | undefined): Promise<void> {
    this.#startedAt = this.#context.world.now();
    this.#size = size;
    await this.#context.audit.record(
      this.#context.subject,
      this.#happening('session.start', 'T2000I', {
        ...(size === undefined ? {} : { size: sizeText(size) }),
        ...(plan.command === '' ? {} : { command: plan.command }),
        ...(plan.original === undefined ? {} : { original_command: plan.original }),
        server_labels: this.#context.labels(),
      }),
    );
  }

  /** While one is being recorded only the newest size is kept: a client can send them faster than any disk takes them. */
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
      await this.#tell('resize', 'T2002I', { size: sizeText(told) });
    }
  }

  /** One file moved by sftp. */
  transferred({ path, direction, bytes, result }: FileTransfer): Promise<void> {
    return this.#tell('scp', scpCode(direction, result.status === 'done'), {
      path,
      action: direction,
      command: 'sftp',
      bytes,
      ...(result.status === 'done' ? { exitCode: '0' } : { exitCode: '1', exitError: result.reason }),
    });
  }

  subsystemRefused(name: string): Promise<void> {
    return this.#tell('subsystem', 'T3001E', { name, exitError: `unrecognized subsystem: ${name}` });
  }

  /** The program has ended, or could not be started (`failure`). */
  async ended(plan: Plan, outcome: { exit: ExitStatus; failure?: string }): Promise<void> {
    const { username } = this.#context.subject;
    await this.#resizing;
    const told = [this.#program(plan, outcome)];
    told.push(
      this.#tell('session.end', 'T2004I', {
        interactive: this.#size !== undefined,
        enhanced_recording: false,
        participants: [username],
        session_start: this.#startedAt,
        session_stop: this.#context.world.now(),
      }),
      this.#tell('session.data', 'T2006I', {
        ei: lastIndex,
        rx: this.traffic.received,
        tx: this.traffic.sent,
      }),
    );
    await Promise.all(told);
  }

  #program(plan: Plan, outcome: { exit: ExitStatus; failure?: string }): Promise<void> {
    const result = resultFields(outcome);
    const ok = result.exitError === undefined;
    const letter = ok ? 'I' : 'E';
    switch (plan.kind) {
      case 'shell':
        // A shell's own status says nothing; that it did not start does.
        return outcome.failure === undefined
          ? Promise.resolve()
          : this.#tell('exec', 'T3002E', { command: '', ...result });
      case 'exec':
        return this.#tell('exec', `T3002${letter}`, { command: plan.command, ...result });
      case 'sftp':
        return this.#tell('subsystem', `T3001${letter}`, { name: 'sftp', ...result });
      case 'scp': {
        const { direction, path } = plan.scp;
        const what = { path, action: direction, command: plan.command };
        return this.#tell('scp', scpCode(direction, ok), { ...what, ...result });
      }
    }
  }

  #tell(event: string, code: string, fields: Record<string, unknown>): Promise<void> {
    return this.#context.audit.afterwards(this.#context.subject, this.#happening(event, code, fields));
  }

  #happening(event: string, code: string, fields: Record<string, unknown>): Happening {
    return { event, code, sid: this.sessionId, ei: this.#next++, ...fields };
  }
}

const scpCode = (direction: 'upload' | 'download', ok: boolean): string =>
  `${direction === 'download' ? 'T3004' : 'T3005'}${ok ? 'I' : 'E'}`;

function resultFields({ exit, failure }: { exit: ExitStatus; failure?: string }): {
  readonly exitCode: string;
  readonly exitError?: string;
} {
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
