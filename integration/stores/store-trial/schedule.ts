import { type LinkFault, linkFaults } from './bad-link.ts';
import type { Random } from './random.ts';

/** One fault, and how long it lasts. Seats and members by number. */
export type Fault = { readonly afterMs: number; readonly lastsMs: number } & (
  | {
      readonly kind: 'links';
      readonly fault: LinkFault;
      readonly seat: number;
      readonly members: readonly number[];
    }
  | { readonly kind: 'stop auth' | 'kill auth'; readonly seat: number }
  | { readonly kind: 'clock'; readonly seat: number; readonly hours: number }
  | { readonly kind: 'stop member' | 'kill member'; readonly member: number }
  | { readonly kind: 'quota' }
  | { readonly kind: 'compaction' }
);

const kinds = [
  'links',
  'links',
  'links',
  'stop auth',
  'kill auth',
  'clock',
  'stop member',
  'kill member',
  'compaction',
] as const;
const all = [0, 1, 2] as const;

/** Faults that begin one after the other and overlap. */
export function scheduleOf(random: Random, count: number): Fault[] {
  return Array.from({ length: count }, () => faultOf(random));
}

function faultOf(random: Random): Fault {
  const times = { afterMs: random.between(200, 1_200), lastsMs: random.between(500, 3_500) };
  const kind = random.oneOf(kinds);
  switch (kind) {
    case 'links':
      return {
        ...times,
        kind,
        fault: random.oneOf(linkFaults),
        seat: random.oneOf(all),
        members: random.some(all, 0.6),
      };
    case 'stop auth':
    case 'kill auth':
      return { ...times, kind, seat: random.oneOf(all) };
    case 'clock':
      return { ...times, kind, seat: random.oneOf(all), hours: random.between(-12, 12) };
    case 'stop member':
    case 'kill member':
      return { ...times, kind, member: random.oneOf(all) };
    case 'compaction':
      return { ...times, kind };
  }
}

/** How a store is put back, and the log recovered. */
export interface RestorePlan {
  /** An auth server that is killed before: what it alone knew is lost. */
  readonly killed: number | undefined;
  /** An auth server that is cut off for a while before: the others know more. */
  readonly behind: number | undefined;
  readonly behindMs: number;
  /** An auth server that sleeps through it. */
  readonly asleep: number | undefined;
  /** The others in the order in which they are recovered; all at once when `together`. */
  readonly order: readonly number[];
  readonly together: boolean;
  /** How long whoever knew no more goes on from what the store has, before the recovery. */
  readonly goesOnMs: number;
}

export function restorePlanOf(random: Random): RestorePlan {
  const killed = random.chance(0.6) ? random.oneOf(all) : undefined;
  const others = all.filter((seat) => seat !== killed);
  const asleep = random.chance(0.4) ? random.oneOf(others) : undefined;
  const first = random.oneOf(all);
  return {
    killed,
    behind: random.chance(0.6) ? random.oneOf(others) : undefined,
    behindMs: random.between(300, 1_500),
    asleep,
    order: all.map((seat) => (seat + first) % all.length),
    together: random.chance(0.3),
    goesOnMs: random.chance(0.5) ? random.between(200, 1_500) : 0,
  };
}
