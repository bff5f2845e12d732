import { z } from 'zod';
import { CodedError, unreachable } from '../base/errors.ts';
import { hour, instant, type Instant, minute, plusMs } from '../base/time.ts';
import type { Decider } from '../log/decider.ts';
import { checkNamePatterns } from './name-patterns.ts';
import { type DecidingTime, endOf, leftMs, type Span } from './deciding-time.ts';
import { writerReads } from './writer-reads.ts';

/** Roles in which a machine may join. Capitalised as in certificates. */
export const joinRole = z.enum(['Node', 'Proxy']);
export type JoinRole = z.infer<typeof joinRole>;

/** What a token admits to: machines in these roles, or another cluster, which then trusts this one. */
export const tokenRole = z.enum([...joinRole.options, 'Trusted_cluster']);
export type TokenRole = z.infer<typeof tokenRole>;

const rolesOfOthers = ['Auth', 'Admin', 'Kube', 'App', 'Db'];

/**
 * Roles as users of 4.4 write them: separated by commas, in any case. Empty when nothing is named.
 * @throws CodedError `bad_request` in the words of 4.4 for a text that is not a role.
 */
export function parseTokenRoles(text: string): TokenRole[] {
  const names = text.split(',').map((name) => name.trim());
  return [...new Set(names.filter((name) => name !== '').map(roleOf))];
}

/**
 * The same for a token that machines alone may use. @throws CodedError `bad_request`
 */
export const parseJoinRoles = (text: string): JoinRole[] =>
  parseTokenRoles(text).map((role) => {
    if (role !== 'Trusted_cluster') return role;
    throw new CodedError(
      'bad_request',
      'a static token does not admit clusters: it would admit any number of them, for ever; make one that ' +
        'is used once ("tctl tokens add --type=trusted_cluster")',
    );
  });

function roleOf(name: string): TokenRole {
  const titled = `${name.slice(0, 1).toUpperCase()}${name.slice(1).toLowerCase()}`;
  const role = tokenRole.safeParse(titled).data;
  if (role !== undefined) return role;
  const known = rolesOfOthers.includes(titled);
  throw new CodedError(
    'bad_request',
    known
      ? `tokens for role ${titled} are not in this release: node, proxy or trusted_cluster`
      : `role ${titled} is not registered: node, proxy or trusted_cluster`,
  );
}

/**
 * The id by which people see a created token: enough of its hash to distinguish tokens, too little to admit
 * anybody. That is safe because created tokens are random or long. A token in a file need not be, and is
 * called by its place there.
 */
export const tokenIdOf = (tokenHash: string): string => tokenHash.slice(0, 16);

/** Whether an id is that of a created token; those in files are called by their place there. */
export const isIdOfCreated = (tokenId: string): boolean => /^[0-9a-f]{16}$/.test(tokenId);

/** How long a token may live, in milliseconds, and how often it may be used. */
export const tokenLimits = {
  defaultMs: 30 * minute,
  minMs: minute,
  maxMs: 48 * hour,
  maxUses: 10_000,
} as const;

export const tokenFact = z.discriminatedUnion('type', [
  /** The stream is named by the hash of the secret. The secret itself is not stored. */
  z.object({
    type: z.literal('token.created'),
    data: z.object({
      roles: z.array(tokenRole).min(1),
      /** By the clock of the server that made it. */
      expiresAt: instant,
      /**
       * How long it is valid, in milliseconds, from when a server learns of it. Older releases leave it out.
       */
      ttlMs: z.number().int().positive().optional(),
      /** Null: any number of times until it expires. */
      uses: z.number().int().positive().nullable(),
      /**
       * What its machines may be called (`name-patterns.ts`). Left out: anything. Older releases leave it
       * out.
       */
      names: z.array(z.string()).min(1).optional(),
    }),
  }),
  /**
   * Of a token that counts its uses. The use of any other is in `host.admitted` of the machine; earlier
   * releases recorded that here as well.
   */
  z.object({
    type: z.literal('token.used'),
    data: z.object({
      hostId: z.string(),
      nodename: z.string(),
      role: z.string(),
      /** `ip:port` it came from. */
      address: z.string(),
      /** Fingerprint of the public key that was certified. */
      key: z.string(),
      /** The id of a token in a file. Older releases used its hash, as for created tokens. */
      tokenId: z.string().optional(),
    }),
  }),
  z.object({ type: z.literal('token.deleted'), data: z.object({}) }),
]);
export type TokenFact = z.infer<typeof tokenFact>;

/** Who joins: a machine, or a cluster, whose name stands for an id. */
export type TokenUse = Extract<TokenFact, { type: 'token.used' }>['data'] & { readonly role: TokenRole };

export interface CreateToken extends DecidingTime {
  readonly type: 'create-token';
  readonly roles: readonly TokenRole[];
  readonly ttlMs: number;
  readonly uses: number | null;
  /** What its machines may be called; empty: anything. */
  readonly names?: readonly string[];
}
export interface UseToken extends DecidingTime {
  readonly type: 'use-token';
  readonly use: TokenUse;
  /** The roles of a token in the file of an auth server; undefined for one that was created. */
  readonly staticRoles: readonly JoinRole[] | undefined;
}
export interface DeleteToken extends DecidingTime {
  readonly type: 'delete-token';
}
export type TokenCommand = CreateToken | UseToken | DeleteToken;

export interface ActiveToken {
  readonly status: 'active';
  readonly roles: readonly TokenRole[];
  /** By the clock of the server that made it: ask `isExpired`. */
  readonly expiresAt: Instant;
  readonly ttlMs?: number | undefined;
  readonly uses: number | null;
  /** What its machines may be called; undefined: anything. */
  readonly names?: readonly string[] | undefined;
  readonly used: number;
  /** Who used it: all of them where uses are counted, else the last few. */
  readonly users: readonly string[];
}
interface NoToken<Status> {
  readonly status: Status;
  readonly used: number;
  readonly users: readonly string[];
}
/** A token in a file is `absent` as well, and earlier releases counted it all the same. */
export type TokenState = ActiveToken | NoToken<'absent'> | NoToken<'deleted'>;

/** This many users of a token without a limit are remembered, for earlier releases, which ask for them. */
const rememberedUsers = 32;

/** A secret that admits machines: for a time, in some roles, and perhaps a limited number of times. */
export const joinToken: Decider<TokenState, TokenCommand, TokenFact> = {
  fact: writerReads(tokenFact),
  initial: { status: 'absent', used: 0, users: [] },

  decide(state, command) {
    switch (command.type) {
      case 'create-token':
        return [create(state, command)];
      case 'use-token': {
        const { use } = command;
        const known = state.users.includes(userOf(use));
        checkUse(state, command, known);
        return known || !countsUses(state, command) ? [] : [{ type: 'token.used', data: use }];
      }
      case 'delete-token':
        if (state.status !== 'active' || isExpired(state, command))
          throw new CodedError('not_found', 'the token is not found');
        return [{ type: 'token.deleted', data: {} }];
      default:
        return unreachable(command);
    }
  },

  evolve(state, fact) {
    switch (fact.type) {
      case 'token.created':
        return { status: 'active', ...fact.data, used: 0, users: [] };
      case 'token.used': {
        const counted = state.status === 'active' && state.uses !== null;
        const users = [...state.users, userOf(fact.data)];
        return { ...state, used: state.used + 1, users: counted ? users : users.slice(-rememberedUsers) };
      }
      case 'token.deleted':
        return { status: 'deleted', used: state.used, users: [] };
      default:
        return unreachable(fact);
    }
  },
};

/**
 * Whether the use of the token is a fact of its own, since their number decides: only where it is limited.
 * Otherwise the fact of the machine that is admitted says it.
 */
export const countsUses = (state: TokenState, { staticRoles }: Pick<UseToken, 'staticRoles'>): boolean =>
  staticRoles === undefined && state.status === 'active' && state.uses !== null;

/** A machine that asks again with the same key lost our reply: that is the same use. */
const userOf = ({
  hostId,
  role,
  key,
}: Pick<TokenUse, 'hostId' | 'key'> & { readonly role: string }): string => `${hostId}/${role}/${key}`;

/** Whether the token has expired, whatever the clock of the server that made it showed. */
export const isExpired = (token: ActiveToken, time: DecidingTime): boolean =>
  leftMs(tokenSpan(token), time) <= 0 || (token.ttlMs === undefined && time.now >= token.expiresAt);

/** When it expires, by the clock of the server that decides. */
export const expiryOf = (token: ActiveToken, time: DecidingTime): Instant =>
  token.ttlMs === undefined ? token.expiresAt : endOf(tokenSpan(token), time);

export const tokenSpan = ({
  expiresAt,
  ttlMs,
}: {
  readonly expiresAt: Instant;
  readonly ttlMs?: number | undefined;
}): Span => ({
  until: expiresAt,
  lengthMs: ttlMs ?? tokenLimits.maxMs,
});

function create(state: TokenState, command: CreateToken): TokenFact {
  const { now, roles, ttlMs, names = [] } = command;
  const uses = usesOf(command);
  if (state.status === 'active' && !isExpired(state, command))
    throw new CodedError('already_exists', 'a token of this value exists already: delete it first');
  checkTokenTtl(ttlMs);
  if (roles.length === 0) throw new CodedError('bad_request', 'a token needs at least one role');
  if (uses !== null && !(Number.isInteger(uses) && uses >= 1 && uses <= tokenLimits.maxUses))
    throw new CodedError('bad_request', `uses: a number from 1 to ${tokenLimits.maxUses}`);
  checkNamePatterns(names);
  const data = {
    roles: [...new Set(roles)].sort(),
    expiresAt: plusMs(now, ttlMs),
    ttlMs,
    uses,
    ...(names.length === 0 ? {} : { names: [...new Set(names)] }),
  };
  return { type: 'token.created', data };
}

/** A token for clusters is for one of them, whatever else it might have admitted. */
function usesOf({ roles, uses, names = [] }: CreateToken): number | null {
  if (!roles.includes('Trusted_cluster')) return uses;
  if (roles.length > 1)
    throw new CodedError('bad_request', 'a token for a cluster (trusted_cluster) admits no machines as well');
  if (names.length > 0)
    throw new CodedError('bad_request', 'names: a token for a cluster (trusted_cluster) admits no machines');
  if (uses !== null && uses !== 1)
    throw new CodedError('bad_request', 'uses: a token for a cluster (trusted_cluster) is used once');
  return 1;
}

/** @throws CodedError `bad_request` naming the limit. */
export function checkTokenTtl(ttlMs: number): void {
  const { minMs, maxMs } = tokenLimits;
  const asked = `asked for ${ttlMs / 1000}s`;
  if (ttlMs > maxMs)
    throw new CodedError('bad_request', `maximum token TTL is ${maxMs / hour}h0m0s, ${asked}`);
  if (!(ttlMs >= minMs) || !Number.isInteger(ttlMs))
    throw new CodedError('bad_request', `minimum token TTL is 1m0s, ${asked}`);
}

/** Whoever holds the secret may learn what became of the token; a guesser always gets the same message. */
function checkUse(state: TokenState, command: UseToken, known: boolean): void {
  const { use, staticRoles } = command;
  if (staticRoles !== undefined) {
    checkRole(staticRoles, use);
    return;
  }
  const refuse = (why: string): CodedError => new CodedError('access_denied', `${joinRefusal(use)}, ${why}`);
  if (state.status === 'absent') throw unknownToken(use);
  if (state.status === 'deleted') throw refuse('the token was deleted');
  if (isExpired(state, command)) throw refuse(`the token expired at ${expiryOf(state, command)}`);
  checkRole(state.roles, use);
  if (!known && state.uses !== null && state.used >= state.uses)
    throw refuse(`the token is used up: it was made for ${state.uses} use${state.uses === 1 ? '' : 's'}`);
}

function checkRole(roles: readonly TokenRole[], { nodename, hostId, role }: Joiner): void {
  if (roles.includes(role)) return;
  throw new CodedError(
    'bad_request',
    `node ${JSON.stringify(nodename)} [${hostId}] can not join the cluster, the token does not allow "${role}" role`,
  );
}

export interface Joiner {
  readonly hostId: string;
  readonly nodename: string;
  readonly role: TokenRole;
}

/**
 * How each refusal of a machine begins.
 * Source: text of 4.4.
 */
export const joinRefusal = ({ nodename, hostId, role }: Joiner): string =>
  `${JSON.stringify(nodename)} [${hostId}] can not join the cluster with role ${role}`;

/**
 * The one message for a secret that was never a token.
 * Source: text of 4.4.
 */
export const unknownToken = (joiner: Joiner): CodedError =>
  new CodedError('access_denied', `${joinRefusal(joiner)}, the token is not valid`);
