import { lookup } from 'node:dns/promises';
import { CodedError } from '../base/errors.ts';
import { second } from '../base/duration.ts';

/** The addresses of a name; empty when DNS does not know it, or says nothing in time. */
export type LookUpName = (name: string) => Promise<readonly string[]>;

/** Each question holds one of the few threads that files and passwords need as well. */
const atOnce = 2;
const maxWaiting = 64;

/**
 * Asks the resolver of this machine, few questions at a time: anyone with a certificate can ask for names that nobody
 * answers.
 * @throws CodedError `unavailable` when too many questions wait.
 */
export function nameLookup(
  ask: (name: string) => Promise<readonly string[]> = async (name) =>
    (await lookup(name, { all: true })).map(({ address }) => address),
  { timeoutMs = 5 * second }: { readonly timeoutMs?: number } = {},
): LookUpName {
  const waiting: (() => void)[] = [];
  let asking = 0;
  const next = (): void => {
    const waiter = waiting.shift();
    if (waiter === undefined) asking--;
    else waiter(); // the place goes on to it
  };
  const turn = async (): Promise<void> => {
    if (asking < atOnce) {
      asking++;
      return;
    }
    if (waiting.length >= maxWaiting)
      throw new CodedError('unavailable', 'too many names are being looked up, try again');
    await new Promise<void>((resolve) => waiting.push(resolve));
  };
  return async (name) => {
    await turn();
    // The turn ends with the answer, not with our patience: the thread is held until then.
    const answer = ask(name)
      .catch((): readonly string[] => []) // a name that DNS does not know is answered as an unknown node
      .finally(next);
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<readonly string[]>((resolve) => {
      timer = setTimeout(() => {
        resolve([]);
      }, timeoutMs);
    });
    try {
      return await Promise.race([answer, limit]);
    } finally {
      clearTimeout(timer);
    }
  };
}
