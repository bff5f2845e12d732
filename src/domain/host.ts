import { z } from 'zod';
import { CodedError, unreachable } from '../base/errors.ts';
import type { Instant } from '../base/time.ts';
import type { Decider } from '../log/decider.ts';
import { type HostInfo, hostInfoOf, hostRecord, hostRecordOf, type SystemRole } from './host-info.ts';
import { whereabouts } from './reachability.ts';
import { setLabels } from './measured-labels.ts';
import { joinRefusal, type JoinRole, type TokenRole } from './join-token.ts';
import { writerReads } from './writer-reads.ts';

/**
 * In any role: a newer release has kinds of machines that this one does not know, perhaps in the same process
 * as one that it knows.
 */
const storedRecord = hostRecord.extend({ role: z.string() });
export type StoredRecord = z.infer<typeof storedRecord>;
export type StoredHost = Omit<HostInfo, 'role'> & { readonly role: string };

export const hostFact = z.discriminatedUnion('type', [
  z.object({ type: z.literal('host.joined'), data: z.object({ host: storedRecord }) }),
  /** All that it announces about itself now. */
  z.object({ type: z.literal('host.changed'), data: z.object({ host: storedRecord }) }),
  z.object({ type: z.literal('host.left'), data: z.object({ role: z.string(), reason: z.string() }) }),
  /** A key was certified for this host id. */
  z.object({
    type: z.literal('host.admitted'),
    data: z.object({
      role: z.string(),
      nodename: z.string(),
      /** Fingerprint. */
      key: z.string(),
      /**
       * The key that held the role of this id before; `unknown` when the role was known but not its key;
       * empty when there was no such role.
       */
      previousKey: z.string(),
      /** The token that it once joined with; empty when that is not known. */
      tokenId: z.string(),
      address: z.string(),
      /** What that token lets its machines be called; left out: anything. Older releases leave it out. */
      names: z.array(z.string()).optional(),
      /**
       * `renewal`: by its older certificate instead of the token. `token`: by that token, whose own stream
       * does not record this use. Left out: by a token that recorded it; earlier releases wrote no other.
       */
      by: z.string().optional(),
    }),
  }),
]);
export type HostFact = z.infer<typeof hostFact>;

export interface RecordHost {
  readonly type: 'record-host';
  readonly host: HostInfo;
}
export interface RemoveHost {
  readonly type: 'remove-host';
  /** Roles that the host does not have are ignored. */
  readonly roles: readonly SystemRole[];
  readonly reason: string;
}
/** Certifies a machine that presented a token. */
export interface AdmitHost {
  readonly type: 'admit-host';
  readonly hostId: string;
  readonly nodename: string;
  readonly role: JoinRole;
  /** Fingerprint of the key to be certified. */
  readonly key: string;
  readonly tokenId: string;
  /** The roles that the token admits to. */
  readonly tokenRoles: readonly TokenRole[];
  /** What the token lets its machines be called; empty: anything. */
  readonly tokenNames: readonly string[];
  readonly address: string;
  /** Whether the token does not record its use itself. */
  readonly recordsUse: boolean;
  /** Until when the host counts as alive in this role; undefined when it does not now. */
  readonly aliveUntil: Instant | undefined;
}
/** Certifies a new key of a machine that presented its certificate. */
export interface RenewHost {
  readonly type: 'renew-host';
  readonly hostId: string;
  readonly nodename: string;
  readonly role: JoinRole;
  /** Fingerprint of the key to be certified. */
  readonly key: string;
  /** The key in the certificate that it presented. */
  readonly shownKey: string;
  readonly address: string;
}
export type HostCommand = RecordHost | RemoveHost | AdmitHost | RenewHost;

/** The key of a host in one role, and how it came by its certificate. */
export interface Admission {
  /** Fingerprint of the key that was certified last. */
  readonly key: string;
  /**
   * The key whose certificate was presented for this renewal: its holder may never have received the new one.
   * Undefined after a join.
   */
  readonly keyBefore: string | undefined;
  readonly tokenId: string;
  /** What the token lets its machines be called; undefined when an older release left it out. */
  readonly names: readonly string[] | undefined;
}

/** One process, one host id, one entry for each of its roles. */
export interface HostState {
  readonly roles: Readonly<Partial<Record<string, StoredHost>>>;
  /**
   * By role. Missing for hosts that joined before releases recorded it, and for roles that run beside an auth
   * server.
   */
  readonly admitted: Readonly<Partial<Record<string, Admission>>>;
}

/** Membership of a machine. Heartbeats are presence; only a change is a fact here. */
export const host: Decider<HostState, HostCommand, HostFact> = {
  fact: writerReads(hostFact),
  initial: { roles: {}, admitted: {} },

  decide(state, command) {
    switch (command.type) {
      case 'record-host': {
        const known = state.roles[command.host.role];
        const data = { host: hostRecordOf(command.host) };
        if (!known) return [{ type: 'host.joined', data }];
        return sameHost(known, command.host) ? [] : [{ type: 'host.changed', data }];
      }
      case 'remove-host':
        return command.roles
          .filter((role) => state.roles[role])
          .map((role) => ({ type: 'host.left', data: { role, reason: command.reason } }));
      case 'admit-host':
        return admit(state, command);
      case 'renew-host':
        return renew(state, command);
      default:
        return unreachable(command);
    }
  },

  evolve(state, fact) {
    switch (fact.type) {
      case 'host.joined':
      case 'host.changed':
        return { ...state, roles: { ...state.roles, [fact.data.host.role]: hostInfoOf(fact.data.host) } };
      case 'host.left': {
        const stay = Object.entries(state.roles).filter(([role]) => role !== fact.data.role);
        return { ...state, roles: Object.fromEntries(stay) };
      }
      case 'host.admitted':
        return { ...state, admitted: { ...state.admitted, [fact.data.role]: admissionOf(fact.data) } };
      default:
        return unreachable(fact);
    }
  },
};

/** Whether the id was another key's before, which presented nothing for that. */
export const replacesKey = ({
  key,
  previousKey,
  by,
}: Extract<HostFact, { type: 'host.admitted' }>['data']): boolean =>
  by !== 'renewal' && previousKey !== '' && previousKey !== key;

const admissionOf = ({
  key,
  previousKey,
  tokenId,
  names,
  by,
}: Extract<HostFact, { type: 'host.admitted' }>['data']): Admission => ({
  key,
  keyBefore: by === 'renewal' ? previousKey : undefined,
  tokenId,
  names,
});

/**
 * A token admits to a role, but not to another machine's place in the cluster. A host id that already has a
 * role which the token does not admit to keeps its holder, and so does one that is alive in this role with
 * another key.
 */
function admit(state: HostState, command: AdmitHost): readonly HostFact[] {
  const { role, key, tokenNames, nodename, tokenId, address, recordsUse } = command;
  requireRolesOfToken(state, command);
  const known = state.admitted[role]?.key ?? (state.roles[role] ? 'unknown' : '');
  if (known !== key) requireGone(state, command);
  // It lost the answer. With another token it is another use.
  else if (!recordsUse || state.admitted[role]?.tokenId === tokenId) return [];
  return [
    {
      type: 'host.admitted',
      data: {
        ...{ role, nodename, key, previousKey: known, tokenId, address, names: [...tokenNames] },
        ...(recordsUse && { by: 'token' }),
      },
    },
  ];
}

const elsewhere =
  'if this machine is another one, remove host_uuid from its data_dir: it then gets an id of its own';
const refusal = (joiner: AdmitHost, why: string): CodedError =>
  new CodedError('access_denied', `${joinRefusal(joiner)}, ${why}`);

function requireRolesOfToken(state: HostState, command: AdmitHost): void {
  const held = [...Object.keys(state.roles), ...Object.keys(state.admitted)];
  const foreign = held.find((one) => !command.tokenRoles.some((admitted) => admitted === one));
  if (foreign !== undefined)
    throw refusal(
      command,
      `its host id is that of a machine in role ${foreign}, to which the token does not admit; ${elsewhere}`,
    );
}

function requireGone({ roles }: HostState, command: AdmitHost): void {
  const { role, aliveUntil } = command;
  const holder = roles[role];
  if (aliveUntil !== undefined)
    throw refusal(
      command,
      `its host id belongs to ${JSON.stringify(holder?.nodename ?? '')}${holder ? ` ${whereabouts(holder.reachability)}` : ''}, which has another key and ` +
        `counts as alive until ${aliveUntil}; ${elsewhere}; if it is that one and lost its identity, it can join then`,
    );
}

/**
 * Only the holder of the key that was certified last is certified again, or the holder of the key before it,
 * who may not yet know of the newer one. So when a thief and the host hold the same key, one of them is
 * discovered: the other's key is two generations old by then.
 */
function renew(
  state: HostState,
  { role, nodename, hostId, key, shownKey, address }: RenewHost,
): readonly HostFact[] {
  const known = state.admitted[role];
  if (known !== undefined && shownKey !== known.key && shownKey !== known.keyBefore)
    throw new CodedError(
      'access_denied',
      `the certificates of ${JSON.stringify(nodename)} [${hostId}] cannot be renewed in role ${role}: another key has been ` +
        'certified for its host id since (instance.rekey and cert.create in the audit); if that is not expected, the older or the newer key is in ' +
        'wrong hands. A machine of its own joins again by a token, without the host_uuid in its data_dir',
    );
  if (known?.key === key) return [];
  const { tokenId = '', names } = known ?? {};
  return [
    {
      type: 'host.admitted',
      data: {
        ...{ role, nodename, key, previousKey: shownKey, tokenId, address, by: 'renewal' },
        ...(names && { names: [...names] }),
      },
    },
  ];
}

/** Whether two reports agree in everything that somebody set; the order of labels does not matter. */
export function sameHost(a: StoredHost, b: StoredHost): boolean {
  const text = ({ measured = [], ...host }: StoredHost): string =>
    JSON.stringify([
      sorted({ ...host, labels: undefined }),
      sorted(setLabels({ ...host, measured })),
      [...measured].sort(),
    ]);
  return text(a) === text(b);
}

const sorted = (record: object): [string, unknown][] =>
  Object.entries(record as Record<string, unknown>).sort(([x], [y]) => (x < y ? -1 : x > y ? 1 : 0));
