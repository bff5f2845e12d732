import { Observable } from 'rxjs';
import { backoffMs } from '../../src/base/backoff.ts';
import type { World } from '../../src/base/world.ts';
import type { Connection } from './connection.ts';
import type { Peers } from './peers.ts';

const retry = { baseMs: 200, maxMs: 10_000 };

interface WatchStream extends NodeJS.EventEmitter {
  write(request: object): void;
  cancel(): void;
  readonly destroyed: boolean;
}

interface WatchAnswer {
  readonly events: readonly unknown[];
  readonly created: boolean;
  readonly canceled: boolean;
}

/** What has come to an end, and why that may be. */
type End = 'broken' | 'refused';

/**
 * Tells that something below the range may have changed, by a watch of our own that begins at the newest revision. It is
 * only a hint: when the stream breaks, a new one begins at the next peer, and with it a hint, since something may have
 * been missed between.
 */
export function watchRange(
  peers: Peers,
  range: { readonly from: string; readonly end: string },
  world: Pick<World, 'randomBytes'>,
): Observable<void> {
  return new Observable((subscriber) => {
    let closed = false;
    let stop = (): void => undefined;
    let timer: NodeJS.Timeout | undefined;
    let failures = 0;
    const begin = (): void => {
      const peer = peers.forStream(failures);
      if (peer === undefined) return;
      stop = watchOnce(peer, range, {
        hint: () => {
          failures = 0;
          subscriber.next();
        },
        ended: (how) => {
          if (closed) return;
          if (how === 'refused') peer.renewToken();
          failures++;
          const random = (world.randomBytes(1)[0] ?? 0) / 256;
          timer = setTimeout(begin, backoffMs(failures, retry.baseMs, retry.maxMs, random));
          timer.unref();
        },
      });
    };
    begin();
    return () => {
      closed = true;
      clearTimeout(timer);
      stop();
    };
  });
}

/** One watch on one peer. `ended` is called once at most, and not after it was stopped. */
function watchOnce(
  { client }: Connection,
  range: { readonly from: string; readonly end: string },
  tell: { readonly hint: () => void; readonly ended: (how: End) => void },
): () => void {
  let stream: WatchStream | undefined;
  let over = false;
  const leave = (): void => {
    over = true;
    stream?.removeAllListeners();
    // A cancelled stream reports that as an error.
    stream?.on('error', () => undefined);
    stream?.cancel();
  };
  const end = (how: End): void => {
    if (over) return;
    leave();
    tell.ended(how);
  };
  const broken = (): void => {
    end('broken');
  };
  client.watchClient.watch().then((opened) => {
    stream = opened as unknown as WatchStream;
    if (over) {
      leave();
      return;
    }
    if (stream.destroyed) {
      broken();
      return;
    }
    stream.on('data', ({ events, created, canceled }: WatchAnswer) => {
      // A refusal says both: created, and cancelled at once.
      if (canceled) end('refused');
      else if (created || events.length > 0) tell.hint();
    });
    stream.on('error', broken);
    stream.on('end', broken);
    stream.write({ create_request: { key: Buffer.from(range.from), range_end: Buffer.from(range.end) } });
  }, broken);
  return leave;
}
