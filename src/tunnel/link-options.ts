import type { Duplex } from 'node:stream';
import type { CodedError } from '../base/errors.ts';

/** What the other end wants to be connected to: JSON, as `link-wish.ts` reads it. */
export type Wish = unknown;

/** The other end has opened a stream. */
export interface Asked {
  readonly wish: Wish;
  /** Aborted when the other end does not want it any more. */
  readonly signal: AbortSignal;
  /** The stream, which is open from now on. `told`: what the other end is told of it, JSON. */
  accept(told?: unknown): Duplex;
  refuse(error: CodedError): void;
}

export interface LinkOptions {
  /** `dialler`: opened the connection; it also sends the signs of life. */
  readonly end: 'dialler' | 'acceptor';
  /** Called for each stream that the other end opens. Without it all are refused. */
  readonly onAsked?: (asked: Asked) => void;
  /** The other end is about to go: nothing more is opened here. */
  readonly onLeave?: () => void;
  /** What the other end says of itself: JSON. */
  readonly onNotice?: (said: unknown) => void;
  /** In milliseconds. */
  readonly monotonic?: () => number;
  readonly signsEveryMs?: number;
  readonly answerMs?: number;
}
