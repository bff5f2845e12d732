import type { Duplex } from 'node:stream';
import { z } from 'zod';
import { pause, randomFraction } from '../base/backoff.ts';
import { isCoded, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { World } from '../base/world.ts';
import type { ViewSnapshot } from '../log/event-log.ts';
import type { Position } from '../log/event.ts';
import { Fetching, type Get } from './fetch-snapshot.ts';
import { LostAnswer } from './http-over.ts';
import { wireSnapshot } from './log-lines.ts';
import { type Among, redialMs } from './no-answer.ts';
import { errorOfAnswer, isAnswer, jsonOrUndefined } from './wire-errors.ts';

export interface AskOptions {
  readonly get: Get;
  /** As in `RemoteLogOptions`. */
  readonly passOver?: ((stream?: Duplex) => void) | undefined;
  readonly world: Pick<World, 'randomBytes'>;
  readonly sink: LogSink;
  readonly among?: (() => Among | undefined) | undefined;
  readonly closed: AbortSignal;
}

const wirePosition = z.object({ position: z.number().int().nonnegative() });

/** The snapshot at `path`; undefined when there is none. */
export async function askForSnapshot(path: string, options: AskOptions): Promise<ViewSnapshot | undefined> {
  const parsed = wireSnapshot.safeParse(await askUntilAnswered(path, options));
  // A snapshot only saves time: the whole log gives the same state.
  return parsed.success ? parsed.data : undefined;
}

/** The position that `path` stands for; undefined from a server of a release without this. */
export async function askForPosition(path: string, options: AskOptions): Promise<Position | undefined> {
  const parsed = wirePosition.safeParse(await askUntilAnswered(path, options));
  return parsed.success ? parsed.data.position : undefined;
}

/** A server that fell silent, or reported that it cannot serve, is asked after the others. */
function leave(e: unknown, stream: Duplex | undefined, passOver: AskOptions['passOver']): void {
  if (e instanceof LostAnswer) passOver?.(e.stream);
  else if (isAnswer(e)) passOver?.(stream);
}

/** Asks until an auth server replies: opening a view needs one anyway. Undefined for `not_found`. */
async function askUntilAnswered(path: string, options: AskOptions): Promise<unknown> {
  const { get, world, sink, closed, passOver, among } = options;
  const fetching = new Fetching(path, get);
  for (let failures = 1; ; failures++) {
    let stream: Duplex | undefined;
    try {
      const { status, body } = await fetching.attempt(closed, (response) => {
        stream = response.socket;
      });
      if (status !== 200) throw errorOfAnswer(status, body);
      return jsonOrUndefined(body);
    } catch (e) {
      if (isCoded(e, 'not_found')) return undefined;
      if (closed.aborted || isCoded(e, 'access_denied')) throw e;
      leave(e, stream, passOver);
      if (failures === 1) sink.warn('an operation waits for an auth server', { reason: messageOf(e) });
      const random = randomFraction(world);
      const sentAwayMs = isCoded(e) ? (e.retryAfterMs ?? 0) : 0;
      await pause(sentAwayMs + redialMs(failures, e, random, among?.()), closed);
    }
  }
}
