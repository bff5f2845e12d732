import { Observable } from 'rxjs';
import { backoffMs, randomFraction } from '../../src/base/backoff.ts';
import { startTimer, stopTimer, type Timer } from '../../src/base/timers.ts';
import type { World } from '../../src/base/world.ts';
import type { Connection } from './connection.ts';
import { parseHead } from './head.ts';
import type { Peers } from './peers.ts';

const retry = { baseMs: 200, maxMs: 10_000 };

interface WatchStream extends NodeJS.EventEmitter {
  write(request: object): void;
  cancel(): void;
  readonly destroyed: boolean;
}

interface WatchAnswer {
  readonly events: readonly { readonly kv: { readonly value: Buffer } }[];
  readonly created: boolean;
  readonly canceled: boolean;
}

/** How a watch ended, and the possible reason. */
type End = 'broken' | 'refused';

/**
 * The slots that the key of the head names, by a watch of our own that begins at the newest revision. When
 * the stream breaks, a new one begins at the next peer, and with it Infinity, since something may have been
 * missed between.
 */
export function watchHead(peers: Peers, key: string, world: Pick<World, 'randomBytes'>): Observable<number> {
  return new Observable((subscriber) => {
    let closed = false;
    let stop = (): void => undefined;
    let timer: Timer | undefined;
    let failures = 0;
    const begin = (): void => {
      const peer = peers.forStream(failures);
      if (peer === undefined) return;
      stop = watchOnce(peer, key, {
        value: (n) => {
          failures = 0;
          subscriber.next(n);
        },
        ended: (how) => {
          if (closed) return;
          if (how === 'refused') peer.renewToken();
          failures++;
          const random = randomFraction(world);
          timer = startTimer(begin, backoffMs(failures, retry.baseMs, retry.maxMs, random));
          timer.unref();
        },
      });
    };
    begin();
    return () => {
      closed = true;
      stopTimer(timer);
      stop();
    };
  });
}

/** One watch on one peer. `ended` is called once at most, and not after it was stopped. */
function watchOnce(
  { client }: Connection,
  key: string,
  tell: { readonly value: (n: number) => void; readonly ended: (how: End) => void },
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
      // A refusal contains both: created, and cancelled at once.
      if (canceled) end('refused');
      else if (created) tell.value(Infinity);
      const newest = events.at(-1);
      // An unreadable value is still a reason to read.
      if (newest) tell.value(parseHead(newest.kv.value)?.slot ?? Infinity);
    });
    stream.on('error', broken);
    stream.on('end', broken);
    stream.write({ create_request: { key: Buffer.from(key) } });
  }, broken);
  return leave;
}
