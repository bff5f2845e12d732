import { second } from '../base/time.ts';

/** So long a caller waits for the answer to one operation. */
export const patienceMs = 10 * second;

/** So long somebody who waits has all servers asked in turn, while each says that it can do nothing now. */
export const persistMs = 4 * second;
