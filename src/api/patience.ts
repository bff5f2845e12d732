import { second } from '../base/time.ts';

/** How long a caller waits for the response to one operation. */
export const patienceMs = 10 * second;

/**
 * For a person who waits: how long all servers are asked in turn, while each reports that it can do nothing
 * now.
 */
export const persistMs = 4 * second;
