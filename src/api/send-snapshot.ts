import type { ServerResponse } from 'node:http';
import { CodedError } from '../base/errors.ts';
import { startTimer } from '../base/timers.ts';
import { room } from './room.ts';
import type { SnapshotBody } from './snapshot-bodies.ts';

/** So much is handed to a connection at once: a slow reader holds no more of a body than this. */
const sliceBytes = 64 * 1024;
/** A reader that takes nothing for this long has gone. However long all of it takes does not matter. */
const silentMs = 60_000;
/** Slow ones included. More would only make each of them slower. */
const mostAtOnce = 256;
/** Until some have ended, that is how long one is assumed to take. */
const usualMs = 500;
const longestWaitMs = 60_000;

/** The transfers of one server. */
export interface Transfers {
  /**
   * Begins to send the body, from `from` on when the caller has what precedes.
   * @throws CodedError `limit_exceeded` with the time to come again, when too many are under way.
   */
  send(body: SnapshotBody, from: number, outgoing: ServerResponse): void;
}

export function transfers(monotonic: () => number, most: number = mostAtOnce): Transfers {
  let underWay = 0;
  let meanMs = usualMs;
  /** When the next one who is sent away shall come: as fast as transfers end, one after the other. */
  let nextAt = -Infinity;

  const sendAway = (): CodedError => {
    const now = monotonic();
    nextAt = Math.max(now, nextAt) + meanMs / most;
    const retryAfterMs = Math.min(longestWaitMs, Math.ceil(nextAt - now + meanMs));
    return new CodedError(
      'limit_exceeded',
      `${most} snapshots are being sent: ask again in ${Math.ceil(retryAfterMs / 1_000)} s`,
      { retryAfterMs, outcome: 'nothing' },
    );
  };

  return {
    send: (body, from, outgoing) => {
      if (underWay >= most) throw sendAway();
      underWay++;
      const began = monotonic();
      head(body, from, outgoing);
      void slices(body.bytes, from, outgoing).finally(() => {
        underWay--;
        meanMs += (monotonic() - began - meanMs) / 16;
      });
    },
  };
}

function head({ bytes, encoding, etag }: SnapshotBody, from: number, outgoing: ServerResponse): void {
  outgoing.removeHeader('transfer-encoding');
  outgoing.writeHead(from === 0 ? 200 : 206, {
    'content-type': 'application/json',
    'content-length': bytes.length - from,
    'cache-control': 'no-store',
    etag,
    ...(encoding === 'gzip' && { 'content-encoding': 'gzip' }),
    ...(from > 0 && { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` }),
  });
}

async function slices(bytes: Buffer, from: number, outgoing: ServerResponse): Promise<void> {
  const gone = new AbortController();
  outgoing.once('close', () => {
    gone.abort();
  });
  for (let at = from; at < bytes.length; at += sliceBytes) {
    if (outgoing.destroyed) return;
    if (outgoing.write(bytes.subarray(at, at + sliceBytes))) continue;
    const silent = startTimer(() => outgoing.destroy(), silentMs).unref();
    await room(outgoing, gone.signal);
    silent.stop();
  }
  outgoing.end();
}
