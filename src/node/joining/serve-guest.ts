import { finished } from 'node:stream/promises';
import { isCoded, messageOf } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import { catalogue } from '../../domain/audit-catalogue.ts';
import { joinLogin, readJoinMode } from '../../domain/join-session.ts';
import type { JoinMode } from '../../domain/role-joining.ts';
import type { ExitStatus, ServerSessionChannel, WindowSize } from '../../ssh/channel-types.ts';
import type { SessionContext } from '../session-context.ts';
import type { Plan } from '../session-plan.ts';
import type { Joined, SharedTerminal } from './shared-terminal.ts';

/** The variables by which a client says that it joins a session. Source: tsh 4.4; the mode is ours. */
export const joinVariables = { sid: 'TELEPORT_SESSION', mode: 'TELEPORT_JOIN_MODE' } as const;
const isJoinVariable = (name: string): boolean => Object.values<string>(joinVariables).includes(name);
const longestValue = 64;

/** What a client says of joining, before it asks for a shell. */
export class JoinWish {
  readonly #values = new Map<string, string>();

  /** @returns whether it is about joining. */
  keep(name: string, value: string): boolean {
    if (!isJoinVariable(name) || value.length > longestValue) return false;
    this.#values.set(name, value);
    return true;
  }

  get sid(): string | undefined {
    return this.#values.get(joinVariables.sid);
  }

  get mode(): string | undefined {
    return this.#values.get(joinVariables.mode);
  }
}

/** A session on a connection, whose person wants to take part in another one. */
export interface GuestRequest {
  readonly channel: ServerSessionChannel;
  readonly wish: JoinWish;
  readonly plan: Plan;
  readonly size: WindowSize | undefined;
  /** Resolves with the reason when it has to end. */
  readonly cut: Promise<string>;
  /** Told of the session while it is joined. */
  readonly onJoined: (guest: ServedGuest) => void;
}

export interface ServedGuest {
  resize(size: WindowSize): void;
  /** Why this person may take part no longer; undefined while they may. */
  refusal(): string | undefined;
}

type Asked =
  | { readonly status: 'not_asked' }
  | { readonly status: 'refused'; readonly why: string }
  | {
      readonly status: 'asked';
      readonly session: SharedTerminal;
      readonly mode: JoinMode;
      readonly size: WindowSize;
    };

/** Who may not join a session learns as little of it as somebody who guesses its id. */
const unknown = (sid: string): string =>
  `session ${quoted(sid)} is not found on this node, or you may not join it in this mode`;

function whatIsAsked(context: SessionContext, { wish, plan, size }: GuestRequest): Asked {
  const onlyJoins = context.subject.login === joinLogin;
  if (plan.kind !== 'shell' || size === undefined || wish.sid === undefined)
    return onlyJoins
      ? refused('nothing is run under this login: it joins sessions, with a terminal')
      : { status: 'not_asked' };
  const session = context.shared.find(wish.sid);
  // The tsh of 4.4 gives each new session an id of its own in this way.
  if (session === undefined && !onlyJoins && wish.mode === undefined) return { status: 'not_asked' };
  const mode = readJoinMode(wish.mode);
  if (mode === undefined)
    return refused(`${quoted(wish.mode ?? '')} is no mode: observer, peer or moderator`);
  if (session === undefined || !context.mayJoin(session.about).has(mode))
    return refused(whyNot(context, wish.sid));
  return { status: 'asked', session, mode, size };
}

const whyNot = ({ liveSessions }: SessionContext, sid: string): string =>
  liveSessions.isElsewhere(sid)
    ? `session ${quoted(sid)} began before this node was reloaded: it goes on, but it cannot be joined`
    : unknown(sid);

const refused = (why: string): Asked => ({ status: 'refused', why });
const quoted = (text: string): string => JSON.stringify(printable(text));

/**
 * Serves somebody who takes part in the session of another person, until one of them leaves.
 * @returns false: that was not asked for.
 */
export async function serveGuest(context: SessionContext, request: GuestRequest): Promise<boolean> {
  const asked = whatIsAsked(context, request);
  if (asked.status === 'not_asked') return false;
  if (asked.status === 'refused') await tellRefused(context, request, asked.why);
  else await takePart(context, request, asked);
  return true;
}

async function tellRefused(
  { audit, subject }: SessionContext,
  { channel, wish }: GuestRequest,
  error: string,
): Promise<void> {
  const [session, mode] = [printable(wish.sid ?? ''), printable(wish.mode ?? '')];
  const told = audit.afterwards(
    subject,
    catalogue.sessionJoinFailure({ success: false, error, session, mode }),
  );
  await refuse(channel, error);
  await told;
}

async function refuse(channel: ServerSessionChannel, why: string): Promise<void> {
  channel.stderr.write(`${why}\r\n`);
  await channel.finish({ status: 'exited', code: 1 });
}

async function takePart(
  context: SessionContext,
  request: GuestRequest,
  { session, mode, size }: Extract<Asked, { status: 'asked' }>,
): Promise<void> {
  const { audit, subject } = context;
  const { channel } = request;
  const { sid, user, login } = session.about;
  const told = { mode, session_user: user, session_login: login };
  try {
    await audit.record(subject, catalogue.sessionJoin(told), { sid, ei: session.nextIndex() });
  } catch (e) {
    if (!isCoded(e)) throw e;
    return refuse(channel, `the session is not joined, since the audit log does not take it: ${e.message}`);
  }
  const guest = { user: subject.username, mode };
  const joined = session.join(guest, size);
  try {
    request.onJoined({
      resize: (to) => {
        joined.resize(to);
      },
      refusal: () =>
        context.mayJoin(session.about).has(mode)
          ? undefined
          : 'you may not take part in this session any more',
    });
    const exit = await untilOver(context, request, joined, {
      mode,
      endSession: () => {
        session.endBy(guest);
      },
    });
    await channel.finish(exit);
  } finally {
    joined.leave();
    joined.terminal.destroy();
    await audit.afterwards(subject, catalogue.sessionLeave(told), { sid, ei: session.nextIndex() });
  }
}

interface Part {
  readonly mode: JoinMode;
  readonly endSession: () => void;
}

async function untilOver(
  { onActivity }: SessionContext,
  { channel, cut }: GuestRequest,
  joined: Joined,
  { mode, endSession }: Part,
): Promise<ExitStatus> {
  const leaves = Promise.withResolvers<ExitStatus>();
  channel.on('data', (bytes: Buffer) => {
    onActivity();
    if (mode === 'peer') return;
    if (bytes.includes(interrupt)) leaves.resolve({ status: 'exited', code: 0 });
    else if (mode === 'moderator' && bytes.includes(terminate)) endSession();
  });
  channel.once('end', () => {
    leaves.resolve({ status: 'exited', code: 0 });
  });
  joined.terminal.on('data', onActivity);
  if (mode === 'peer') channel.pipe(joined.terminal, { end: false });
  joined.terminal.pipe(channel, { end: false });
  const gone = channel.gone.then((): ExitStatus => ({ status: 'unknown' }));
  const withdrawn = cut.then((reason): ExitStatus => {
    channel.stderr.write(`${reason}\r\n`);
    return { status: 'exited', code: 255 };
  });
  const exit = await Promise.race([joined.ended, leaves.promise, gone, withdrawn]);
  joined.leave();
  // What it was sent last: how its terminal was before.
  const shown = finished(joined.terminal, { writable: false }).catch(messageOf);
  await Promise.race([shown, channel.gone]);
  return exit;
}

/** Ctrl-C, with which observers and moderators leave; `t`, with which the latter end the session. */
const [interrupt, terminate] = [0x03, 0x74];
