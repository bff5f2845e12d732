import { second } from '../base/time.ts';

/** So long a caller waits for the answer to one operation. */
export const patienceMs = 10 * second;
