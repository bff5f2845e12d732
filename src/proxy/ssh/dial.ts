import { connect, isIP, type LookupFunction } from 'node:net';
import type { Duplex } from 'node:stream';
import { readingLentMemory } from '../../base/lent-memory.ts';
import { CodedError } from '../../base/errors.ts';
import type { Asking, LookUpName } from '../../base/name-lookup.ts';
import { formatHostPort, type HostPort } from '../../base/service.ts';
import { startTimer, stopTimer } from '../../base/timers.ts';

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'it closed the connection',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ETIMEDOUT: 'no answer',
  ENOTFOUND: 'the name is not known',
  EAI_AGAIN: 'DNS does not answer',
};

/**
 * A TCP connection. @throws CodedError `unavailable`, naming the address and the reason; also when nobody
 * waits for it any more.
 */
export type DialAddress = (address: HostPort, asking: Asking) => Promise<Duplex>;

/** Names are looked up by `lookUpName`, in the turn of the caller. */
export const dialTcp =
  (lookUpName: LookUpName, timeoutMs = 10_000): DialAddress =>
  (address, asking) =>
    new Promise((resolve, reject) => {
      const { signal } = asking;
      const fail = (why: string): void => {
        settle();
        socket.destroy();
        reject(new CodedError('unavailable', `cannot connect to ${formatHostPort(address)}: ${why}`));
      };
      const abort = (): void => {
        fail('the client has left');
      };
      const limit = startTimer(() => {
        fail(`no answer in ${timeoutMs / 1000} s`);
      }, timeoutMs);
      const settle = (): void => {
        stopTimer(limit);
        signal.removeEventListener('abort', abort);
      };
      // Half open: the end of one direction does not end the other.
      const lookup = lookupFor(lookUpName, asking);
      const options = { ...address, lookup, noDelay: true, allowHalfOpen: true, keepAlive: true };
      const socket = readingLentMemory((onread) => connect({ ...options, onread }));
      socket.on('error', (e: NodeJS.ErrnoException) => {
        fail(reasons[e.code ?? ''] ?? e.message); // once it is connected: only `close`, which its holder sees
      });
      socket.once('connect', () => {
        settle();
        resolve(socket);
      });
      signal.addEventListener('abort', abort);
      if (signal.aborted) abort();
    });

/** In the form that the runtime expects. */
const lookupFor =
  (lookUpName: LookUpName, asking: Asking): LookupFunction =>
  (name, { all = false }, done) => {
    lookUpName(name, asking).then(
      (addresses) => {
        const found = addresses.map((address) => ({ address, family: isIP(address) }));
        const [first] = found;
        if (all) done(null, found);
        else done(null, first?.address ?? '', first?.family ?? 0);
      },
      (e: unknown) => {
        done(e instanceof Error ? e : new Error(String(e)), '');
      },
    );
  };
