import { z } from 'zod';
import { isCleanText } from '../base/clean-text.ts';
import { CodedError, unreachable } from '../base/errors.ts';
import { hour, instant, type Instant, plusMs, second } from '../base/time.ts';
import type { Decider } from '../log/decider.ts';
import { isForeignUsername } from './foreign-username.ts';
import { checkLogin, checkName } from './names.ts';
import { writerReads } from './writer-reads.ts';

/** What a lock is about. `serial` is that of a certificate, `session` the id of a live session. */
export const lockKind = z.enum(['user', 'role', 'login', 'node', 'session', 'serial']);
export type LockKind = z.infer<typeof lockKind>;

/** `name` in the form that `lockTargetOf` gives it, so that equal things are equal texts. */
export const lockTarget = z.object({ kind: lockKind, name: z.string().min(1) });
export type LockTarget = z.infer<typeof lockTarget>;

export const lockLimits = { minTtlMs: second, maxTtlMs: 10 * 365 * 24 * hour, messageLength: 1000 } as const;

export const lockFact = z.discriminatedUnion('type', [
  /** Who locked is the actor of the event. */
  z.object({
    type: z.literal('lock.created'),
    data: z.object({
      target: lockTarget,
      /** Shown to whoever is refused by it; may be empty. */
      message: z.string(),
      /** By the clock of the server that locked. Left out: until it is ended. */
      expiresAt: instant.optional(),
    }),
  }),
  /**
   * `reason`: `unlocked` by an operator, or `expired` and then removed; other releases may have other
   * reasons.
   */
  z.object({ type: z.literal('lock.ended'), data: z.object({ reason: z.string() }) }),
]);
export type LockFact = z.infer<typeof lockFact>;

export interface CreateLock {
  readonly type: 'create-lock';
  readonly now: Instant;
  readonly target: LockTarget;
  readonly message: string;
  /** Undefined: until it is ended. */
  readonly ttlMs: number | undefined;
}
export interface EndLock {
  readonly type: 'end-lock';
  readonly reason: 'unlocked' | 'expired';
}
export type LockCommand = CreateLock | EndLock;

export type LockState =
  { readonly status: 'absent' | 'ended' } | { readonly status: 'created'; readonly target: LockTarget };

/** Keeps a person, a machine or a certificate out, until it is ended or expires. */
export const lock: Decider<LockState, LockCommand, LockFact> = {
  fact: writerReads(lockFact),
  initial: { status: 'absent' },

  decide(state, command) {
    switch (command.type) {
      case 'create-lock':
        if (state.status !== 'absent') throw new CodedError('already_exists', 'this lock exists');
        return [create(command)];
      case 'end-lock':
        // Expired locks are removed by the next command.
        if (state.status !== 'created' && command.reason === 'expired') return [];
        if (state.status !== 'created') throw new CodedError('not_found', 'the lock is not found');
        return [{ type: 'lock.ended', data: { reason: command.reason } }];
      default:
        return unreachable(command);
    }
  },

  evolve(state, fact) {
    switch (fact.type) {
      case 'lock.created':
        return state.status === 'absent' ? { status: 'created', target: fact.data.target } : state;
      case 'lock.ended':
        return { status: 'ended' };
      default:
        return unreachable(fact);
    }
  },
};

function create({ now, target, message, ttlMs }: CreateLock): LockFact {
  checkTtl(ttlMs);
  if (!isCleanText(message) || message.length > lockLimits.messageLength)
    throw new CodedError(
      'bad_request',
      `message: one line of at most ${lockLimits.messageLength} characters, without control and invisible ones`,
    );
  const data = { target: lockTargetOf(target.kind, target.name), message };
  return {
    type: 'lock.created',
    data: ttlMs === undefined ? data : { ...data, expiresAt: plusMs(now, ttlMs) },
  };
}

function checkTtl(ttlMs: number | undefined): void {
  const { minTtlMs, maxTtlMs } = lockLimits;
  if (ttlMs === undefined || (Number.isInteger(ttlMs) && ttlMs >= minTtlMs && ttlMs <= maxTtlMs)) return;
  throw new CodedError(
    'bad_request',
    `ttl: from 1s to ${maxTtlMs / hour}h, asked for ${ttlMs / second}s; leave it out to lock until it is ended`,
  );
}

const maxSerial = 2n ** 160n;
const uuidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const serialPattern = /^([1-9]\d{0,48}|0x[0-9a-f]{1,40})$/i;
const bad = (why: string): CodedError => new CodedError('bad_request', why);

const named =
  (kind: 'user' | 'role') =>
  (name: string): string => {
    if (kind === 'role' || !isForeignUsername(name)) checkName(kind, name);
    return name;
  };

/** The canonical form in which names of each kind are compared. */
const nameOf: Readonly<Record<LockKind, (name: string) => string>> = {
  user: named('user'),
  role: named('role'),
  login: (name) => {
    checkLogin(name);
    return name;
  },
  node: (name) => {
    if (!isCleanText(name) || name === '' || name.length > 253 || /\s/.test(name))
      throw bad(`${JSON.stringify(name)} is neither the id nor the name of a node`);
    return name.toLowerCase();
  },
  session: (name) => {
    const id = name.toLowerCase();
    if (!uuidPattern.test(id)) throw bad(`${JSON.stringify(name)} is not the id of a session: a UUID`);
    return id;
  },
  serial: (name) => {
    const serial = serialPattern.test(name) ? BigInt(name) : 0n;
    if (serial <= 0n || serial >= maxSerial)
      throw bad(
        `${JSON.stringify(name)} is not the serial of a certificate: decimal digits, or 0x and hexadecimal`,
      );
    return serial.toString();
  },
};

/**
 * The target in its canonical form, in which targets are compared. A serial is written as `ssh-keygen -L`
 * prints it, or in hexadecimal behind `0x`.
 * @throws CodedError `bad_request` for a text that cannot name anything of that kind.
 */
export const lockTargetOf = (kind: LockKind, text: string): LockTarget => ({
  kind,
  name: nameOf[kind](text.trim()),
});

/** Who or what connects, and may be locked. A field that is left out is not known, or does not apply. */
export interface LockSubject {
  readonly user?: string;
  readonly roles?: readonly string[];
  readonly login?: string;
  /** The machine that is entered, or that calls: its id and its names. */
  readonly node?: readonly string[];
  readonly session?: string;
  /** Of the certificates that were presented. Zero means none: older releases did not set serials. */
  readonly serial?: bigint;
}

/** Every target that would lock this subject. */
export function targetsOf(subject: LockSubject): readonly LockTarget[] {
  const { user, roles = [], login, node = [], session, serial = 0n } = subject;
  const of = (kind: LockKind, ...names: readonly (string | undefined)[]): LockTarget[] =>
    names.flatMap((name) => (name === undefined || name === '' ? [] : [{ kind, name }]));
  return [
    ...of('user', user),
    ...of('role', ...roles),
    ...of('login', login),
    ...of('node', ...node.map((name) => name.toLowerCase())),
    ...of('session', session?.toLowerCase()),
    ...of('serial', serial === 0n ? undefined : serial.toString()),
  ];
}

/** The part of a lock that is shown to whoever is refused by it. */
export interface LockNotice {
  readonly target: LockTarget;
  readonly message: string;
}

const titles: Readonly<Record<LockKind, string>> = {
  user: 'User',
  role: 'Role',
  login: 'Login',
  node: 'Node',
  session: 'Session',
  serial: 'Serial',
};

/** `User:"alice"` */
export const targetText = ({ kind, name }: LockTarget): string => `${titles[kind]}:${JSON.stringify(name)}`;

/** In the words of the releases after 4.4, which have locks. */
export const lockText = ({ target, message }: LockNotice): string =>
  `lock targeting ${targetText(target)} is in force${message === '' ? '' : `: ${message}`}`;

/** An expired lock locks nobody. */
export const isInForce = (
  { expiresAt }: { readonly expiresAt?: Instant | undefined },
  now: Instant,
): boolean => expiresAt === undefined || now < expiresAt;
