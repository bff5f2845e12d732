import { minute, second } from '../../base/time.ts';
import { startTicker } from '../../base/timers.ts';

/** What starting services wait for, by service; empty: nothing. */
export type Waiting = ReadonlyMap<string, string>;

export interface StartWaiting {
  readonly waits: (waiting: Waiting) => void;
  /** The daemon serves, or ends. */
  readonly close: () => void;
}

export interface StartWaitingOptions {
  readonly say: (status: string) => void;
  /** Asks the service manager for this much time from now on. */
  readonly extend: (ms: number) => void;
  /** Milliseconds of a monotonic clock. */
  readonly monotonic: () => number;
  /** Makes the unit ready, with what it waits for as its status. Called once. */
  readonly beReady: (status: string) => void;
}

const lookEveryMs = second;
/**
 * How much longer a start may take each time this is requested: opening what it waited for takes time as
 * well.
 */
const extendMs = 2 * minute;
const extendEveryMs = 5 * second;
/**
 * Auth servers that restart are back within this time, so that the start of this machine shows whether it
 * serves.
 */
const joinsWithinMs = 10 * second;

/**
 * A start that waits, as the service manager sees it. It may wait for its cluster for ever: after a while the
 * unit becomes ready, with what it waits for as its status. It waits for its store within a limit of its own:
 * until then the start gets more time, and the result decides whether the unit starts or fails.
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

/** For the service manager: what it waits for, and why that is missing. */
export const waitingLine = (waiting: Waiting): string =>
  waiting.size === 0
    ? 'starting'
    : `waiting ${waiting.has('auth') ? 'for the store' : 'to join'}: ${[...waiting.values()].join('; ')}`;
