import { type Allowance, type Balance, giveBack, takeAll } from '../../domain/allowance.ts';

/** Under which address and name refused logins are counted. Undefined: not counted by it. */
export interface LoginSource {
  /** Undefined where everybody has the same one. */
  readonly address: string | undefined;
  /** The claimed name, whether there is such a user or not. */
  readonly name: string | undefined;
}

export type LoginTaking =
  /** `notRefused`: call it when the login ended in another way, and does not count. */
  | { readonly status: 'taken'; readonly notRefused: () => void }
  | { readonly status: 'refused'; readonly waitMs: number };

/**
 * Decides before a password is checked whether another login may be refused by now. Nothing here depends on
 * who exists.
 */
export interface RefusedLogins {
  /** `now` is in milliseconds of a monotonic clock. */
  take(source: LoginSource, now: number): LoginTaking;
}

/** Somebody who mistypes stays far below it; a guesser has six a minute from one address. */
const ofAddress: Allowance = { atOnce: 30, perHour: 360 };
/**
 * From all addresses together. At once, this is more than lock a name (`maxFailures`), so locks happen as
 * before.
 */
const ofName: Allowance = { atOnce: 60, perHour: 120 };
/** How many of each are remembered; the one that was quiet longest is forgotten first. */
const maxRemembered = 10_000;

export function refusedLogins(): RefusedLogins {
  const [addresses, names] = [new Map<string, Balance>(), new Map<string, Balance>()];
  return {
    take: ({ address, name }, now) => {
      const counted = [
        ...(address === undefined ? [] : [{ of: addresses, key: address, allowance: ofAddress }]),
        ...(name === undefined ? [] : [{ of: names, key: name, allowance: ofName }]),
      ];
      const taking = takeAll(
        counted.map(({ of, key, allowance }) => ({ allowance, before: of.get(key), amount: 1 })),
        now,
      );
      if (taking.status === 'refused') return { status: 'refused', waitMs: taking.waitMs };
      for (const [i, { of, key }] of counted.entries()) keep(of, key, taking.balances[i]);
      return {
        status: 'taken',
        notRefused: () => {
          for (const { of, key, allowance } of counted) {
            const balance = of.get(key);
            if (balance !== undefined) of.set(key, giveBack(allowance, balance, 1));
          }
        },
      };
    },
  };
}

function keep(of: Map<string, Balance>, key: string, balance: Balance | undefined): void {
  of.delete(key);
  if (balance !== undefined) of.set(key, balance);
  if (of.size > maxRemembered)
    for (const quietest of of.keys()) {
      of.delete(quietest);
      break;
    }
}
