import type { Duplex, Readable } from 'node:stream';
import { CodedError, isCoded } from '../base/errors.ts';
import type { ServerSessionChannel, WindowSize } from '../ssh/channel-types.ts';
import type { OsUser } from '../ssh/passwd.ts';
import { Pty } from '../ssh/pty.ts';
import { SftpTap } from '../ssh/sftp-tap.ts';
import { type LineVariables, lineVariables } from '../ssh/program-line.ts';
import { type ProgramPipes, startProgram, type UserProcess } from '../ssh/user-process.ts';
import { type AgentSocket, openAgentSocket } from './agent-socket.ts';
import { EventQueue } from './event-queue.ts';
import { loginAccount } from './login-account.ts';
import { readUserEnvironment } from './read-user-environment.ts';
import { sessionEnvironment } from './session-environment.ts';
import type { SessionAudit } from './session-audit.ts';
import type { SessionContext } from './session-context.ts';
import type { Plan } from './session-plan.ts';

export interface LaunchOptions {
  readonly plan: Plan;
  readonly audit: SessionAudit;
  readonly channel: ServerSessionChannel;
  readonly variables: ReadonlyMap<string, string>;
  readonly terminal: { readonly term: string; readonly modes: ReadonlyMap<number, number> } | undefined;
  /** Asked when the terminal is made: the client may have changed it since. */
  readonly size: () => WindowSize;
  readonly lendsAgent: boolean;
  /** The caller closes it. */
  readonly onAgent: (agent: AgentSocket) => void;
}

/** A program that runs, joined to its channel. */
export interface Launched {
  readonly process: UserProcess;
  readonly pty: Pty | undefined;
  /** Resolves with the reason when it must end at once: what it does could not be put on record. */
  readonly cut: Promise<string>;
  /** Resolves when the channel has been given all that the program wrote, and the audit what it did. */
  outputDone(): Promise<void>;
  /** Lets go of the program's streams. */
  close(): void;
}

/** A program that has ended may leave another one behind that holds its terminal; nobody waits for that longer. */
const terminalLingerMs = 1_000;

/**
 * Starts what the plan says as the login, and joins it to the channel.
 * @throws CodedError `unavailable` beginning with `Failed to launch:`, for the person to read.
 */
export async function launch(context: SessionContext, options: LaunchOptions): Promise<Launched> {
  const { subject, libc } = context;
  const user = await loginAccount(context, subject).catch((e: unknown) => {
    throw isCoded(e) ? new CodedError(e.code, `Failed to launch: ${e.message}.`) : e;
  });
  const c = libc.status === 'loaded' ? libc.libc : undefined;
  const { acceptsVariable: accepts, sink } = context;
  const fromFile = context.permitUserEnvironment
    ? await readUserEnvironment(user, { libc: c, accepts, sink })
    : [];
  const agent = options.lendsAgent
    ? await openAgentSocket(user, () => context.connection.openAgent())
    : undefined;
  if (agent !== undefined) options.onAgent(agent);
  const pty = await openTerminal(context, options, user);
  try {
    const process = await startProgram({
      user,
      libc: c,
      umask: context.loginDefs.umask,
      program: options.plan.program,
      environment: environmentOf(context, options, { user, pty, agent, fromFile }),
      ...(pty === undefined ? {} : { pty }),
    });
    return pty === undefined
      ? joinPipes(context, options, process)
      : joinTerminal(context, options, { process, pty });
  } catch (e) {
    pty?.close();
    throw e;
  }
}

async function openTerminal(
  { libc, accounts }: SessionContext,
  { terminal, size }: LaunchOptions,
  user: OsUser,
): Promise<Pty | undefined> {
  if (terminal === undefined || libc.status === 'unavailable') return undefined;
  const gid = (await accounts.ttyGroup()) ?? user.gid;
  return new Pty({ libc: libc.libc, owner: { uid: user.uid, gid }, size: size(), modes: terminal.modes });
}

function environmentOf(
  context: SessionContext,
  { variables, terminal, audit, plan }: LaunchOptions,
  made: {
    user: OsUser;
    pty: Pty | undefined;
    agent: AgentSocket | undefined;
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
      agentSocket: made.agent?.path,
      originalCommand: plan.original,
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

/** Counts what goes by and tells that the connection is in use. */
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

const endOf = (stream: Readable): Promise<void> =>
  new Promise((resolve) => {
    if (stream.readableEnded || stream.destroyed) resolve();
    stream
      .once('end', () => {
        resolve();
      })
      .once('close', () => {
        resolve();
      });
  });

function joinTerminal(
  context: SessionContext,
  options: LaunchOptions,
  { process, pty }: { process: UserProcess; pty: Pty },
): Launched {
  const { channel } = options;
  const ended = endOf(pty.stream);
  count(context, options, [pty.stream]);
  pty.stream.pipe(channel, { end: false });
  channel.pipe(pty.stream, { end: false });
  return {
    process,
    pty,
    cut: never,
    outputDone: async () => {
      let timer: NodeJS.Timeout | undefined;
      const limit = new Promise<void>((resolve) => (timer = setTimeout(resolve, terminalLingerMs)));
      await Promise.race([ended, limit]);
      clearTimeout(timer);
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
  // The program reads no more: what the client still sends goes nowhere, but it must not stop the rest.
  stdin.once('close', () => {
    input.unpipe(stdin);
    input.resume();
  });
  stdout.pipe(channel, { end: false });
  stderr.pipe(channel.stderr, { end: false });
  return {
    process,
    pty: undefined,
    cut: transfers?.lost ?? never,
    outputDone: async () => {
      await ended;
      await transfers?.end();
    },
    close: () => {
      for (const stream of [stdin, stdout, stderr]) stream.destroy();
      void transfers?.end();
    },
  };
}

/**
 * Looks at both directions of sftp; the client waits while its transfers are not in the audit yet. Where they can be
 * followed no longer, nothing more of the client reaches the server.
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
