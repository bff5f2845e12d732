import { z } from 'zod';
import { CodedError, unreachable } from '../base/errors.ts';
import type { Instant } from '../base/time.ts';
import type { Decider } from '../log/decider.ts';
import { type HostInfo, hostInfo, type SystemRole, systemRole } from './host-info.ts';
import { joinRefusal, type JoinRole, joinRole } from './join-token.ts';

export const hostFact = z.discriminatedUnion('type', [
  z.object({ type: z.literal('host.joined'), data: z.object({ host: hostInfo }) }),
  /** The whole of what it says of itself now. */
  z.object({ type: z.literal('host.changed'), data: z.object({ host: hostInfo }) }),
  z.object({ type: z.literal('host.left'), data: z.object({ role: systemRole, reason: z.string() }) }),
  /** A key was certified for this host id, for a token. */
  z.object({
    type: z.literal('host.admitted'),
    data: z.object({
      role: joinRole,
      nodename: z.string(),
      /** Fingerprint. */
      key: z.string(),
      /** The key that held the role of this id before; `unknown` when the role was known but not its key; empty: none. */
      previousKey: z.string(),
      tokenId: z.string(),
      address: z.string(),
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
  readonly role: SystemRole;
  readonly reason: string;
}
/** Certifies a machine that showed a token. */
export interface AdmitHost {
  readonly type: 'admit-host';
  readonly hostId: string;
  readonly nodename: string;
  readonly role: JoinRole;
  /** Fingerprint of the key that wants to be certified. */
  readonly key: string;
  readonly tokenId: string;
  /** What the token admits to. */
  readonly tokenRoles: readonly JoinRole[];
  readonly address: string;
  /** Until when the host counts as alive in this role; undefined when it does not now. */
  readonly aliveUntil: Instant | undefined;
}
export type HostCommand = RecordHost | RemoveHost | AdmitHost;

/** One process, one host id, one entry for each role that it runs. */
export interface HostState {
  readonly roles: Readonly<Partial<Record<SystemRole, HostInfo>>>;
  /** By role, the fingerprint of the key that was certified last for a token. */
  readonly admitted: Readonly<Partial<Record<SystemRole, string>>>;
}

/** Membership of a machine. Heartbeats are presence; only what changed is a fact here. */
export const host: Decider<HostState, HostCommand, HostFact> = {
  fact: hostFact,
  initial: { roles: {}, admitted: {} },

  decide(state, command) {
    switch (command.type) {
      case 'record-host': {
        const known = state.roles[command.host.role];
        const data = { host: command.host };
        if (!known) return [{ type: 'host.joined', data }];
        return sameHost(known, command.host) ? [] : [{ type: 'host.changed', data }];
      }
      case 'remove-host':
        return state.roles[command.role]
          ? [{ type: 'host.left', data: { role: command.role, reason: command.reason } }]
          : [];
      case 'admit-host':
        return admit(state, command);
      default:
        return unreachable(command);
    }
  },

  evolve(state, fact) {
    switch (fact.type) {
      case 'host.joined':
      case 'host.changed':
        return { ...state, roles: { ...state.roles, [fact.data.host.role]: fact.data.host } };
      case 'host.left': {
        const stay = Object.entries(state.roles).filter(([role]) => role !== fact.data.role);
        return { ...state, roles: Object.fromEntries(stay) };
      }
      case 'host.admitted':
        return { ...state, admitted: { ...state.admitted, [fact.data.role]: fact.data.key } };
      default:
        return unreachable(fact);
    }
  },
};

/**
 * A token admits to a role, not to somebody else's place in the cluster. Who has this id in a role that the token does not
 * admit to, and who is alive in this one with another key, stays whom the cluster means by it.
 */
function admit(state: HostState, command: AdmitHost): readonly HostFact[] {
  const { role, key, tokenRoles, aliveUntil, nodename, tokenId, address } = command;
  const refuse = (why: string): CodedError =>
    new CodedError('access_denied', `${joinRefusal(command)}, ${why}`);
  const elsewhere =
    'if this machine is another one, remove host_uuid from its data_dir: it then gets an id of its own';
  const held = [...Object.keys(state.roles), ...Object.keys(state.admitted)];
  const foreign = held.find((one) => !tokenRoles.some((admitted) => admitted === one));
  if (foreign !== undefined)
    throw refuse(
      `its host id is that of a machine in role ${foreign}, to which the token does not admit; ${elsewhere}`,
    );
  const known = state.admitted[role] ?? (state.roles[role] ? 'unknown' : '');
  if (known === key) return [];
  const holder = state.roles[role];
  if (aliveUntil !== undefined)
    throw refuse(
      `its host id belongs to ${JSON.stringify(holder?.nodename ?? '')} at ${holder?.address ?? ''}, which has another key and ` +
        `counts as alive until ${aliveUntil}; ${elsewhere}; if it is that one and lost its identity, it can join then`,
    );
  return [{ type: 'host.admitted', data: { role, nodename, key, previousKey: known, tokenId, address } }];
}

/** Whether two reports say the same; the order of labels does not matter. */
export function sameHost(a: HostInfo, b: HostInfo): boolean {
  const text = ({ labels, ...rest }: HostInfo): string => JSON.stringify([sorted(rest), sorted(labels)]);
  return text(a) === text(b);
}

const sorted = (record: object): [string, unknown][] =>
  Object.entries(record as Record<string, unknown>).sort(([x], [y]) => (x < y ? -1 : x > y ? 1 : 0));
