import type { ErrorCode } from '../base/errors.ts';

/** Why a store that answers does not do what it is asked. */
export type StoreRefusal =
  /** It has no room. */
  | 'full'
  /** More than it ever takes at once. */
  | 'too large'
  /** More than it takes as it is set up: smaller requests may go, and an operator can raise it. */
  | 'above a setting'
  /** Credentials or rights. */
  | 'not allowed'
  /** Not now: it throttles, or has to be asked again. */
  | 'busy'
  /** It does not trust itself. */
  | 'out of order';

/**
 * What a refusal means to the log, the same for every store. While a store is opened, what only an operator
 * can repair ends the start; later it may pass, as credentials and rights are changed beside us.
 */
export function codeOfRefusal(refusal: StoreRefusal, { opening }: { readonly opening: boolean }): ErrorCode {
  switch (refusal) {
    case 'full':
      return 'no_space';
    case 'too large':
      return 'too_large';
    case 'above a setting':
      return 'limit_exceeded';
    case 'not allowed':
      return opening ? 'misconfigured' : 'unavailable';
    case 'busy':
    case 'out of order':
      return 'unavailable';
  }
}
