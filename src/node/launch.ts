import type { Duplex, Readable } from 'node:stream';
import type { ServerSessionChannel, WindowSize } from '../ssh/channel-types.ts';
import type { OsUser } from '../machine/passwd.ts';
import { Pty, type PtyOwner } from '../machine/pty.ts';
import { SftpTap } from '../transfer/sftp-tap.ts';
import { type LineVariables, lineVariables } from '../machine/program-line.ts';
import { type ProgramPipes, startProgram, type UserProcess } from '../machine/user-process.ts';
import { EventQueue } from './event-queue.ts';
import { loginAccount } from './login-account.ts';
import { launchFailure } from './launch-failure.ts';
import { readUserEnvironment } from './read-user-environment.ts';
import type { SharedTerminal } from './joining/shared-terminal.ts';
import type { SessionRecording } from './recording/session-recordings.ts';
import { endOf, terminalRead } from './output-end.ts';
import { sessionEnvironment } from './session-environment.ts';
import type { SessionAudit } from './session-audit.ts';
import type { SessionContext } from './session-context.ts';
import type { Plan } from './session-plan.ts';
import { sideMatters } from './side-matters.ts';

export interface LaunchOptions {
  readonly plan: Plan;
  readonly audit: SessionAudit;
  readonly channel: ServerSessionChannel;
  readonly variables: ReadonlyMap<string, string>;
  readonly terminal: { readonly term: string; readonly modes: ReadonlyMap<number, number> } | undefined;
  /** Called when the terminal is made: the client may have changed it since. */
  readonly size: () => WindowSize;
  readonly lendsAgent: boolean;
  /** Of what its terminal shows. */
  readonly recording: SessionRecording | undefined;
  /** Told of all that its terminal shows. */
  readonly shared: Pick<SharedTerminal, 'connect' | 'output' | 'resized'> | undefined;
}

/** A running program, connected to its channel. */
export interface Launched {
  readonly process: UserProcess;
  /** Of its terminal, if it has one. */
  resize(size: WindowSize): void;
  /** Resolves with the reason when it must end at once: what it does could not be recorded. */
  readonly cut: Promise<string>;
  /**
   * To be called when the program has ended: nobody reads its input any more. Resolves when the channel has
   * received all output, including that of programs left behind, and the audit has their actions.
   */
  outputDone(): Promise<void>;
  /** The client reads no more: a program that keeps writing to a pipe is ended by that (SIGPIPE). */
  stopOutput(): void;
  /** Closes the program's streams. */
  close(): void;
}

/**
 * Starts what the plan says as the login, and joins it to the channel. Failures of things a session can do
 * without (the agent, the variables of the home, the owner of the terminal) do not prevent its start: the
 * person is told on its stderr.
 * @throws CodedError beginning with `Failed to launch:`, for the person to read; anything else is a bug.
 */
export async function launch(context: SessionContext, options: LaunchOptions): Promise<Launched> {
  const { subject, starter, connection, left } = context;
  const user = await loginAccount(context, subject).catch((e: unknown) => {
    throw launchFailure(e);
  });
  const side = sideMatters(context, options);
  const { acceptsVariable: accepts, sink } = context;
  const fromFile = context.permitUserEnvironment
    ? await side('~/.tsh/environment is not read', [], () =>
        readUserEnvironment(user, { starter, of: connection, unwanted: left, accepts, sink }),
      )
    : [];
  const agentSocket = options.lendsAgent
    ? await side('your agent is not forwarded to this session', undefined, () => context.agent.lend(user))
    : undefined;
  const gid = await side('the group of the terminal is not known', user.gid, () =>
    ttyGroup(context, options, user),
  );
  const pty = openTerminal(context, options, { uid: user.uid, gid });
  const trouble = context.diskTrouble();
  if (trouble !== undefined && pty !== undefined) options.channel.stderr.write(`${trouble}\r\n`);
  if (pty?.notOwned !== undefined) side.tell('this terminal does not belong to you', pty.notOwned);
  try {
    const process = await startProgram({
      user,
      starter,
      of: connection,
      unwanted: left,
      umask: context.loginDefs.umask,
      program: options.plan.program,
      environment: environmentOf(context, options, { user, pty, agentSocket, fromFile }),
      ...(pty === undefined ? {} : { pty }),
    });
    return join(context, options, { process, pty });
  } catch (e) {
    pty?.close();
    throw launchFailure(e);
  }
}

async function tellUnrecorded(audit: SessionAudit, reason: string): Promise<string> {
  await audit.recordingFailed(reason);
  return `this session cannot be recorded any more: ${reason}`;
}

interface Started {
  readonly process: UserProcess;
  readonly pty: Pty | undefined;
}

function join(context: SessionContext, options: LaunchOptions, { process, pty }: Started): Launched {
  try {
    return pty === undefined
      ? joinPipes(context, options, process)
      : joinTerminal(context, options, { process, pty });
  } catch (e) {
    // Nobody would ever end it.
    void process.hangUp(0);
    throw e;
  }
}

const ttyGroup = async (
  { accounts }: SessionContext,
  { terminal }: LaunchOptions,
  user: OsUser,
): Promise<number> => (terminal === undefined ? undefined : await accounts.ttyGroup()) ?? user.gid;

function openTerminal(
  { libc }: SessionContext,
  { terminal, size }: LaunchOptions,
  owner: PtyOwner,
): Pty | undefined {
  if (terminal === undefined || libc.status === 'unavailable') return undefined;
  try {
    return new Pty({ libc: libc.libc, owner, size: size(), modes: terminal.modes });
  } catch (e) {
    throw launchFailure(e, 'no terminal can be opened: ');
  }
}

function environmentOf(
  context: SessionContext,
  { variables, terminal, audit, plan }: LaunchOptions,
  made: {
    user: OsUser;
    pty: Pty | undefined;
    agentSocket: string | undefined;
    fromFile: readonly (readonly [string, string])[];
  },
): LineVariables {
  const { subject } = context;
  const { variables: fitting, leftOut } = lineVariables(
    sessionEnvironment({
      user: made.user,
      paths: context.loginDefs.paths,
      fromClient: variables,
      remote: subject.peer.remoteAddress,
      local: subject.peer.localAddress,
      terminal:
        terminal === undefined || made.pty === undefined
          ? undefined
          : { term: terminal.term, path: made.pty.path },
      sessionId: audit.sessionId,
      webProxyAddress: context.webProxyAddress(),
      hostId: context.hostId,
      clusterName: context.clusterName,
      username: subject.username,
      agentSocket: made.agentSocket,
      originalCommand: plan.original,
      trouble: context.diskTrouble(),
      fromFile: made.fromFile,
    }),
  );
  if (leftOut.length > 0)
    context.sink.warn('variables of a session were left out: they are not one line each', {
      session: audit.sessionId,
      names: leftOut.join(' '),
    });
  return fitting;
}

/** Counts bytes as they pass and reports that the connection is in use. */
function count(
  context: SessionContext,
  { audit, channel }: LaunchOptions,
  outputs: readonly Readable[],
): void {
  channel.on('data', (chunk: Buffer) => {
    audit.traffic.received += chunk.length;
    context.onActivity();
  });
  for (const output of outputs)
    output.on('data', (chunk: Buffer) => {
      audit.traffic.sent += chunk.length;
      context.onActivity();
    });
}

const never = new Promise<never>(() => undefined);

function joinTerminal(
  context: SessionContext,
  options: LaunchOptions,
  { process, pty }: Started & { readonly pty: Pty },
): Launched {
  const { channel, audit, recording, shared } = options;
  const unread = new AbortController();
  count(context, options, [pty.stream]);
  const output = recording === undefined ? pty.stream : pty.stream.pipe(recording.tap());
  if (shared !== undefined) {
    shared.connect(pty.stream);
    output.on('data', (chunk: Buffer) => {
      shared.output(chunk);
    });
  }
  output.pipe(channel, { end: false });
  channel.pipe(pty.stream, { end: false });
  return {
    process,
    resize: (size) => {
      pty.resize(size);
      recording?.resized(size);
      shared?.resized(size);
    },
    cut: recording === undefined ? never : recording.failed.then((why) => tellUnrecorded(audit, why)),
    outputDone: () => terminalRead(output, channel, unread.signal),
    // As sshd does: a program that keeps writing waits until it is told to end.
    stopOutput: () => {
      output.unpipe(channel).pause();
      unread.abort();
    },
    close: () => {
      pty.close();
    },
  };
}

function joinPipes(context: SessionContext, options: LaunchOptions, process: UserProcess): Launched {
  const { pipes } = process;
  if (pipes === undefined) throw new Error('a program without a terminal has pipes');
  const { channel, plan } = options;
  const { stdin, stdout, stderr } = pipes;
  const ended = Promise.all([endOf(stdout), endOf(stderr)]);
  count(context, options, [stdout, stderr]);
  const transfers = plan.kind === 'sftp' ? watchSftp(options, pipes) : undefined;
  const input: Duplex = transfers === undefined ? channel : channel.pipe(transfers.gate);
  input.pipe(stdin);
  // The program reads no more: further input from the client is discarded, but must not block the rest.
  stdin.once('close', () => {
    input.unpipe(stdin);
    input.resume();
  });
  stdout.pipe(channel, { end: false });
  stderr.pipe(channel.stderr, { end: false });
  return {
    process,
    resize: () => undefined,
    cut: transfers?.lost ?? never,
    outputDone: async () => {
      stdin.destroy();
      await ended;
      await transfers?.end();
    },
    stopOutput: () => {
      stdout.unpipe(channel);
      stdout.destroy();
    },
    close: () => {
      for (const stream of [stdin, stdout, stderr]) stream.destroy();
      void transfers?.end();
    },
  };
}

/**
 * Watches both directions of sftp; the client waits while its transfers are not in the audit yet. When they
 * cannot be followed any more, nothing further from the client reaches the server.
 */
function watchSftp(
  { audit }: LaunchOptions,
  { stdout }: ProgramPipes,
): { gate: Duplex; lost: Promise<string>; end: () => Promise<void> } {
  const queue = new EventQueue<() => Promise<void>>((record) => record());
  const lost = Promise.withResolvers<string>();
  const tap = new SftpTap(
    (transfer) => {
      queue.add(() => audit.transferred(transfer));
    },
    (reason) => {
      lost.resolve(`transfers cannot be followed for the audit (${reason})`);
    },
  );
  stdout.on('data', (chunk: Buffer) => {
    tap.fromServer(chunk);
  });
  return {
    gate: queue.gate(
      (chunk) => tap.fromClient(chunk),
      () => tap.room(),
    ),
    lost: lost.promise,
    end: async () => {
      tap.end();
      await queue.settled();
    },
  };
}
