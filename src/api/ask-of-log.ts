import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { pause } from '../base/backoff.ts';
import { isCoded, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { World } from '../base/world.ts';
import type { ViewSnapshot } from '../log/event-log.ts';
import type { Position } from '../log/event.ts';
import { wireSnapshot } from './log-lines.ts';
import { redialMs } from './no-answer.ts';
import { errorOfAnswer, jsonOrUndefined } from './wire-errors.ts';

export interface AskOptions {
  readonly get: (path: string, signal: AbortSignal) => Promise<IncomingMessage>;
  readonly world: Pick<World, 'randomBytes'>;
  readonly sink: LogSink;
  readonly closed: AbortSignal;
}

const wirePosition = z.object({ position: z.number().int().nonnegative() });

/** The stored state that is kept at `path`; undefined when there is none. */
export async function askForSnapshot(path: string, options: AskOptions): Promise<ViewSnapshot | undefined> {
  const parsed = wireSnapshot.safeParse(await askUntilAnswered(path, options));
  // The stored state only saves time: the whole log is as good.
  return parsed.success ? parsed.data : undefined;
}

/** The position that `path` stands for; undefined from a server of a release that does not know. */
export async function askForPosition(path: string, options: AskOptions): Promise<Position | undefined> {
  const parsed = wirePosition.safeParse(await askUntilAnswered(path, options));
  return parsed.success ? parsed.data.position : undefined;
}

/** Asks until an auth server answers: whoever opens a view waits for one anyway. Undefined for `not_found`. */
async function askUntilAnswered(path: string, { get, world, sink, closed }: AskOptions): Promise<unknown> {
  for (let failures = 1; ; failures++) {
    try {
      const response = await get(path, AbortSignal.any([closed, AbortSignal.timeout(60_000)]));
      const body = await text(response);
      if (response.statusCode !== 200) throw errorOfAnswer(response.statusCode ?? 0, body);
      return jsonOrUndefined(body);
    } catch (e) {
      if (isCoded(e, 'not_found')) return undefined;
      if (closed.aborted || isCoded(e, 'access_denied')) throw e;
      if (failures === 1) sink.warn('waits for an auth server', { reason: messageOf(e) });
      const random = (world.randomBytes(1)[0] ?? 0) / 256;
      await pause(redialMs(failures, e, random), closed);
    }
  }
}
