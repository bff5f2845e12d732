import { minute, second } from '../../base/time.ts';
import { startTicker } from '../../base/timers.ts';

/** What services that start wait for, by the service; empty: nothing. */
export type Waiting = ReadonlyMap<string, string>;

export interface StartWaiting {
  readonly waits: (waiting: Waiting) => void;
  /** It serves, or ends. */
  readonly close: () => void;
}

export interface StartWaitingOptions {
  readonly say: (status: string) => void;
  /** Asks for so much time from now on. */
  readonly extend: (ms: number) => void;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic: () => number;
  /** Lets the unit be ready, with what it waits for as its status. Called once. */
  readonly beReady: (status: string) => void;
}

const lookEveryMs = second;
/**
 * So much longer a start has from each time it is asked for: opening what was waited for takes its time as
 * well.
 */
const extendMs = 2 * minute;
const extendEveryMs = 5 * second;
/** Auth servers that are restarted are back by then: whoever starts this machine learns whether it serves. */
const joinsWithinMs = 10 * second;

/**
 * A start that waits, as the service manager sees it. It may wait for its cluster for ever: after a while the
 * unit is ready as one that waits. It waits for its store within a limit of its own: until then the start is
 * given more time, and its end decides whether the unit starts or fails.
 */
export function startWaiting({ say, extend, monotonic, beReady }: StartWaitingOptions): StartWaiting {
  let waiting: Waiting = new Map();
  let [told, ready] = ['', false];
  let since: number | undefined;
  let extendedAt = -Infinity;

  const look = (): void => {
    if (since === undefined) return;
    const [now, text] = [monotonic(), waitingLine(waiting)];
    const waits = waiting.size > 0;
    if (!ready && waits && !waiting.has('auth') && now - since >= joinsWithinMs) {
      [ready, told] = [true, text];
      beReady(text);
    }
    if (!ready && waits && now - extendedAt >= extendEveryMs) {
      extendedAt = now;
      extend(extendMs);
    }
    if (text === told) return;
    told = text;
    say(text);
  };
  const timer = startTicker(look, lookEveryMs);
  timer.unref();
  return {
    waits: (now) => {
      waiting = now;
      // Between two attempts it waits for nothing.
      if (now.size > 0) since ??= monotonic();
      look();
    },
    close: () => {
      timer.stop();
    },
  };
}

/** For the service manager: what is waited for, and why it is not there. */
export const waitingLine = (waiting: Waiting): string =>
  waiting.size === 0
    ? 'starting'
    : `waiting ${waiting.has('auth') ? 'for the store' : 'to join'}: ${[...waiting.values()].join('; ')}`;
