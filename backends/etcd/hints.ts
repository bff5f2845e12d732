import { Observable } from 'rxjs';
import { backoffMs } from '../../src/base/backoff.ts';
import type { World } from '../../src/base/world.ts';
import type { Peers } from './peers.ts';

const retry = { baseMs: 200, maxMs: 10_000 };

interface WatchStream extends NodeJS.EventEmitter {
  write(request: object): void;
  cancel(): void;
  readonly destroyed: boolean;
}

/**
 * Tells that something below the range may have changed, by a watch of our own that begins at the newest revision. It is
 * only a hint: when the stream breaks, a new one begins, after a hint, since something may have been missed between.
 */
export function watchRange(
  peers: Peers,
  range: { readonly from: string; readonly end: string },
  world: Pick<World, 'randomBytes'>,
): Observable<void> {
  return new Observable((subscriber) => {
    let closed = false;
    let stream: WatchStream | undefined;
    let timer: NodeJS.Timeout | undefined;
    let failures = 0;
    const again = (): void => {
      if (closed) return;
      stream?.removeAllListeners();
      // A cancelled stream reports that as an error.
      stream?.on('error', () => undefined);
      stream?.cancel();
      stream = undefined;
      failures++;
      const random = (world.randomBytes(1)[0] ?? 0) / 256;
      timer = setTimeout(begin, backoffMs(failures, retry.baseMs, retry.maxMs, random));
      timer.unref();
    };
    const begin = (): void => {
      peers
        .preferred()
        .watchClient.watch()
        .then((opened) => {
          const watching = opened as unknown as WatchStream;
          if (closed) {
            watching.on('error', () => undefined);
            watching.cancel();
            return;
          }
          stream = watching;
          if (watching.destroyed) {
            again();
            return;
          }
          watching.on('data', (response: { events: unknown[]; canceled: boolean; created: boolean }) => {
            failures = 0;
            if (response.canceled) again();
            else if (response.created || response.events.length > 0) subscriber.next();
          });
          watching.on('error', again);
          watching.on('end', again);
          watching.write({
            create_request: { key: Buffer.from(range.from), range_end: Buffer.from(range.end) },
          });
        }, again);
    };
    begin();
    return () => {
      closed = true;
      clearTimeout(timer);
      stream?.removeAllListeners();
      stream?.on('error', () => undefined);
      stream?.cancel();
    };
  });
}
