import { second } from '../../base/duration.ts';
import { isCoded } from '../../base/errors.ts';
import { signalAfter } from '../../base/timers.ts';
import type { Asking, LookUpName } from '../../base/name-lookup.ts';

/**
 * The addresses of a name; empty when DNS does not know it, or does not reply in time.
 * @throws CodedError `unavailable` when too many lookups wait, or the client has left.
 */
export type AddressesOf = (name: string, asking: Asking) => Promise<readonly string[]>;

/** A name that DNS does not know, or for which it does not reply, is handled as an unknown node. */
export const addressesOf =
  (lookUpName: LookUpName, { timeoutMs = 5 * second }: { readonly timeoutMs?: number } = {}): AddressesOf =>
  async (name, { by, signal }) => {
    const limit = signalAfter(timeoutMs);
    try {
      return await lookUpName(name, { by, signal: AbortSignal.any([signal, limit]) });
    } catch (e) {
      if (isCoded(e, 'not_found') || (limit.aborted && !signal.aborted)) return [];
      throw e;
    }
  };
