import type { ErrorCode } from '../base/errors.ts';

/** Why a store that replies does not do what it is asked. */
export type StoreRefusal =
  /** It has no space. */
  | 'full'
  /** More than it ever accepts at once. */
  | 'too large'
  /** More than its settings allow: smaller requests may succeed, and an operator can raise the limit. */
  | 'above a setting'
  /** Credentials or rights. */
  | 'not allowed'
  /** Not now: it throttles, or the request has to be repeated. */
  | 'busy'
  /** It considers itself broken. */
  | 'out of order';

/**
 * What a refusal means to the log, the same for every store. While a store is opened, an error that only an
 * operator can fix ends the start; later it may pass, as credentials and rights are changed beside us.
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
