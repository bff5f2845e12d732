import { type Allowance, type Balance, giveBack, takeAll } from '../../domain/allowance.ts';

/** Whose refused logins are counted together. Undefined: not counted so. */
export interface LoginSource {
  /** Undefined where it is that of everybody. */
  readonly address: string | undefined;
  /** The claimed one, whether there is such a user or not. */
  readonly name: string | undefined;
}

export type LoginTaking =
  /** `notRefused`: it came to something else, and does not count. */
  | { readonly status: 'taken'; readonly notRefused: () => void }
  | { readonly status: 'refused'; readonly waitMs: number };

/**
 * Before a password is looked at: whether another one may be refused by now. Nothing here depends on who
 * exists.
 */
export interface RefusedLogins {
  /** `now` is in milliseconds of a clock that is never set. */
  take(source: LoginSource, now: number): LoginTaking;
}

/** Whoever mistypes is far below it; who guesses comes to six a minute from one address. */
const ofAddress: Allowance = { atOnce: 30, perHour: 360 };
/** From all addresses together. More at once than lock a name (`maxFailures`): locks come as they did. */
const ofName: Allowance = { atOnce: 60, perHour: 120 };
/** So many of each are remembered; the one that was quiet longest is forgotten first. */
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
