import { minute } from './duration.ts';

/**
 * How far the clocks of two machines of one cluster may be apart. Everything that compares them uses this one
 * value, or a certificate would be valid by one rule and not by the next:
 * - certificates begin to hold this long before they are issued, and a checker lets one begin this much in
 *   its own future;
 * - a certificate that names no life of its user counts as issued this long after it begins to hold, so a
 *   longer back-dating than is known here would let a certificate of a deleted user pass for one of the user
 *   who has that name now;
 * - a machine whose clock is further from the auth server's does not join, and an auth server whose clock is
 *   further from that of most others writes nothing.
 */
export const clockToleranceMs = minute;
