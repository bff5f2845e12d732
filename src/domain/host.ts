import { z } from 'zod';
import { unreachable } from '../base/errors.ts';
import type { Decider } from '../log/decider.ts';
import { type HostInfo, hostInfo, type SystemRole, systemRole } from './host-info.ts';

export const hostFact = z.discriminatedUnion('type', [
  z.object({ type: z.literal('host.joined'), data: z.object({ host: hostInfo }) }),
  /** The whole of what it says of itself now. */
  z.object({ type: z.literal('host.changed'), data: z.object({ host: hostInfo }) }),
  z.object({ type: z.literal('host.left'), data: z.object({ role: systemRole, reason: z.string() }) }),
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
export type HostCommand = RecordHost | RemoveHost;

/** One process, one host id, one entry for each role that it runs. */
export interface HostState {
  readonly roles: Readonly<Partial<Record<SystemRole, HostInfo>>>;
}

/** Membership of a machine. Heartbeats are presence; only what changed is a fact here. */
export const host: Decider<HostState, HostCommand, HostFact> = {
  fact: hostFact,
  initial: { roles: {} },

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
      default:
        return unreachable(command);
    }
  },

  evolve(state, fact) {
    switch (fact.type) {
      case 'host.joined':
      case 'host.changed':
        return { roles: { ...state.roles, [fact.data.host.role]: fact.data.host } };
      case 'host.left': {
        const stay = Object.entries(state.roles).filter(([role]) => role !== fact.data.role);
        return { roles: Object.fromEntries(stay) };
      }
      default:
        return unreachable(fact);
    }
  },
};

/** Whether two reports say the same; the order of labels does not matter. */
export function sameHost(a: HostInfo, b: HostInfo): boolean {
  const text = ({ labels, ...rest }: HostInfo): string => JSON.stringify([sorted(rest), sorted(labels)]);
  return text(a) === text(b);
}

const sorted = (record: object): [string, unknown][] =>
  Object.entries(record as Record<string, unknown>).sort(([x], [y]) => (x < y ? -1 : x > y ? 1 : 0));
