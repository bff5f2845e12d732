import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { Observable, type Subscriber } from 'rxjs';
import { pause, randomFraction } from '../base/backoff.ts';
import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { World } from '../base/world.ts';
import type { Get } from './fetch-snapshot.ts';
import { askForPosition, askForSnapshot, type AskOptions } from './ask-of-log.ts';
import type { Followable, Wanted } from '../log/event-log.ts';
import type { Followed, Partition, Position } from '../log/event.ts';
import type { Connected } from './client.ts';
import { LostAnswer } from './http-over.ts';
import { type Among, isNoAnswerInTime, NoAnswerInTime, redialMs } from './no-answer.ts';
import { logLine } from './log-lines.ts';
import { Silence } from './silence.ts';
import { errorOfAnswer, fromWire, isAnswer, issuesOf, jsonOrUndefined } from './wire-errors.ts';

export interface RemoteLogOptions {
  readonly partition: Partition;
  /**
   * Sends a GET to any auth server; each on its own connection. How long it takes until there is one is for
   * it to limit; `onConnection` is called then.
   */
  readonly get: (path: string, signal: AbortSignal, onConnection?: () => void) => Promise<IncomingMessage>;
  /** The same for a response that ends soon. Default: `get`. */
  readonly getSnapshot?: Get;
  /**
   * The server at the other end of this connection cannot serve now: the next `get` shall try others first.
   */
  readonly passOver?: (stream?: Duplex) => void;
  readonly world: Pick<World, 'randomBytes'>;
  readonly sink: LogSink;
  /**
   * A connection without a line for this long is dead; where the server announced that it sends signs of life
   * less often, when three are missing.
   */
  readonly silentMs: number;
  /** This machine, where it is one of many. */
  readonly among?: (() => Among | undefined) | undefined;
  /** Milliseconds of a monotonic clock. */
  readonly monotonic: () => number;
}

export interface RemoteLog extends Followable, Connected {
  /** Continues over new connections, from its position: no reader notices. */
  dialAgain(): void;
  /** Completes every reader. */
  close(): void;
}

/** Longest line a server may send: an event is at most 64 KB, twice that as JSON in the worst case. */
const maxLineChars = 1024 * 1024;

/** This many missing signs of life are no accident. */
const missedSigns = 3;
/**
 * A server that is this far behind its store is left for another. By then it sends its followers away itself.
 */
const longestAgeMs = 10_000;

/** One stream from the server and the readers that are all at its position. */
interface Upstream {
  position: Position;
  /** Of the event there, when it is known. */
  id: string | undefined;
  readonly readers: Map<Subscriber<Followed>, Wanted>;
  readonly gone: AbortController;
  silentMs: number;
  /** Of the server that is followed now. */
  stream: Duplex | undefined;
  /** Aborted when another connection should replace the current one. */
  dialAgain: AbortController;
}

/**
 * A partition of the log at the auth servers. Readers at the same position share a stream, and streams that
 * meet are joined, so a host with many views holds one. After a break a stream continues from its last
 * position, after a random pause: no event is read twice.
 */
export function openRemoteLog(options: RemoteLogOptions): RemoteLog {
  const upstreams = new Set<Upstream>();
  const closed = new AbortController();
  let head: Position = 0;
  let since = options.monotonic();
  let away: string | undefined = 'not connected yet';
  /** The time, by the clock here, as of which the received events are known to be complete. */
  let currentAsOf = -Infinity;
  /**
   * A caller that opens many views at once reads their snapshots one after the other, over one connection.
   */
  let reading: Promise<unknown> = Promise.resolve();
  /** Those who want to know the newest position that a server reports from now on. */
  const askingForHead: PromiseWithResolvers<Position>[] = [];

  const alive = (): void => {
    since = options.monotonic();
    if (away !== undefined)
      options.sink.info('this service follows the log at the auth server', { partition: options.partition });
    away = undefined;
  };
  const broken = (reason: string): void => {
    if (away === undefined)
      options.sink.warn(
        'the connection to the auth server was lost: this service goes on with what it knows',
        {
          partition: options.partition,
          reason,
        },
      );
    away = reason;
  };

  const among = (): Among | undefined => options.among?.();

  const end = (upstream: Upstream): void => {
    upstreams.delete(upstream);
    upstream.gone.abort();
  };

  /** Two streams at the same event have the same future. */
  const joinOthers = (upstream: Upstream): void => {
    for (const other of upstreams) {
      if (other === upstream || !isAt(other, upstream.position, upstream.id)) continue;
      for (const [reader, wanted] of other.readers) upstream.readers.set(reader, wanted);
      other.readers.clear();
      end(other);
    }
  };

  const tell = (upstream: Upstream, followed: Followed): void => {
    if (followed.position <= upstream.position) return;
    upstream.position = followed.position;
    upstream.id = followed.id;
    head = Math.max(head, followed.position);
    for (const reader of upstream.readers.keys()) reader.next(followed);
    if (upstreams.size > 1) joinOthers(upstream);
  };

  /** @param isThere whether everything up to there has arrived. */
  const takeAge = (ageMs: number, isThere: boolean): void => {
    if (ageMs > longestAgeMs)
      throw fromWire(
        'unavailable',
        `the auth server has not heard from its store for ${Math.round(ageMs)} ms`,
      );
    if (isThere) currentAsOf = Math.max(currentAsOf, options.monotonic() - ageMs);
  };

  /** Returns the time without another line after which the connection counts as dead. */
  const take = (upstream: Upstream, line: string): number => {
    const parsed = logLine.safeParse(jsonOrUndefined(line));
    if (!parsed.success)
      throw new CodedError('unavailable', `a line of the log is not understood: ${issuesOf(parsed.error)}`);
    alive();
    if ('event' in parsed.data) tell(upstream, parsed.data.event);
    else if ('position' in parsed.data) tell(upstream, parsed.data);
    else if ('error' in parsed.data) throw fromWire(parsed.data.error.code, parsed.data.error.message);
    else {
      takeAge(parsed.data.ageMs ?? 0, upstream.position >= parsed.data.head);
      head = Math.max(head, parsed.data.head);
      // The position of the stream exists, although this server may not have seen it yet.
      for (const one of askingForHead.splice(0)) one.resolve(Math.max(parsed.data.head, upstream.position));
      upstream.silentMs = Math.max(options.silentMs, missedSigns * (parsed.data.everyMs ?? 0));
    }
    return upstream.silentMs;
  };

  /** @param onLine is told how long there may be no other line. */
  const readLines = async (
    upstream: Upstream,
    response: IncomingMessage,
    onLine: (silentMs: number) => void,
  ): Promise<void> => {
    for await (const line of linesOf(response)) {
      onLine(take(upstream, line));
      if (upstream.gone.signal.aborted) break;
    }
  };

  const readOnce = async (upstream: Upstream, onLine: () => void): Promise<void> => {
    const silence = new Silence();
    try {
      const signal = AbortSignal.any([upstream.gone.signal, silence.signal, upstream.dialAgain.signal]);
      // A connection that is given up while its server computes the handshake is work done for nothing: it
      // has its own, longer limit.
      const begin = (): void => {
        silence.watch(upstream.silentMs);
      };
      const response = await options.get(`${path}?${questionOf(upstream)}`, signal, begin);
      begin();
      upstream.stream = response.socket;
      if (response.statusCode !== 200) throw errorOfAnswer(response.statusCode ?? 0, await text(response));
      await readLines(upstream, response, (nowMs) => {
        onLine();
        silence.watch(nowMs);
      });
      // A response that is aborted between two lines just ends.
      silence.signal.throwIfAborted();
    } catch (e) {
      if (silence.signal.aborted)
        throw new NoAnswerInTime(`the auth server was silent for ${silence.limitMs} ms`, { cause: e });
      throw codedBreak(e);
    } finally {
      silence.stop();
    }
  };

  /**
   * A server that reported that it cannot serve, or is silent, is passed over; a broken connection may be
   * made again.
   */
  const leave = (e: unknown, stream: Duplex | undefined): void => {
    const over = stream ?? streamOf(e);
    if (isAnswer(e) || (isNoAnswerInTime(e) && over !== undefined)) options.passOver?.(over);
  };

  const run = async (upstream: Upstream): Promise<void> => {
    let failures = 0;
    const over = (): boolean => upstream.gone.signal.aborted;
    while (!over()) {
      let failure: unknown;
      upstream.stream = undefined;
      const { signal: leftFor } = (upstream.dialAgain = new AbortController());
      try {
        await readOnce(upstream, () => (failures = 0));
        if (leftFor.aborted) continue;
        if (!over()) broken('the auth server ended the stream');
      } catch (e) {
        if (over()) return;
        if (leftFor.aborted) continue;
        if (isCoded(e, 'cursor_too_old')) {
          end(upstream);
          for (const reader of [...upstream.readers.keys()]) reader.error(e);
          return;
        }
        if (isCoded(e, 'far_behind')) {
          // Those for whom each event counts stay; the last who leaves ends the stream.
          for (const [reader, wanted] of [...upstream.readers]) if (wanted === 'newest') reader.error(e);
          continue;
        }
        failure = e;
        leave(e, upstream.stream);
        broken(messageOf(e));
      }
      failures++;
      const random = randomFraction(options.world);
      await pause(redialMs(failures, failure, random, among()), upstream.gone.signal);
    }
  };

  const begin = (after: Position, id: string | undefined): Upstream => {
    const upstream: Upstream = {
      position: after,
      id,
      readers: new Map(),
      gone: new AbortController(),
      silentMs: options.silentMs,
      stream: undefined,
      dialAgain: new AbortController(),
    };
    upstreams.add(upstream);
    // Its first reader comes in this turn.
    queueMicrotask(() => void run(upstream));
    return upstream;
  };

  const path = `/v3/log/${options.partition}`;
  const asking = {
    ...options,
    get: options.getSnapshot ?? ((wanted, signal) => options.get(wanted, signal)),
    closed: closed.signal,
  } satisfies AskOptions;
  const oneByOne = <T>(ask: () => Promise<T>): Promise<T> => {
    const mine = reading.then(ask);
    reading = mine.catch(() => undefined);
    return mine;
  };

  return {
    follow: (after, id, wanted = 'all') =>
      new Observable<Followed>((reader) => {
        if (closed.signal.aborted) {
          reader.complete();
          return undefined;
        }
        const upstream = [...upstreams].find((one) => isAt(one, after, id)) ?? begin(after, id);
        upstream.readers.set(reader, wanted);
        return () => {
          for (const one of upstreams) if (one.readers.delete(reader) && one.readers.size === 0) end(one);
        };
      }),
    snapshot: (name) =>
      oneByOne(() => askForSnapshot(`${path}/snapshot/${encodeURIComponent(name)}`, asking)),
    positionBefore: (at) =>
      oneByOne(() => askForPosition(`${path}/position?before=${encodeURIComponent(at)}`, asking)),
    head: () => {
      const asked = Promise.withResolvers<Position>();
      if (closed.signal.aborted) asked.reject(closedError());
      else askingForHead.push(asked);
      return asked.promise;
    },
    connection: () =>
      away === undefined ? { status: 'connected' } : { status: 'away', since, reason: away },
    ageMs: () => options.monotonic() - currentAsOf,
    headSeen: () => head,
    dialAgain: () => {
      for (const upstream of upstreams) upstream.dialAgain.abort();
    },
    close: () => {
      closed.abort();
      for (const one of askingForHead.splice(0)) one.reject(closedError());
      for (const upstream of [...upstreams]) {
        end(upstream);
        for (const reader of [...upstream.readers.keys()]) reader.complete();
      }
    },
  };
}

const codedBreak = (e: unknown): CodedError =>
  isCoded(e) ? e : new CodedError('unavailable', `the connection broke: ${messageOf(e)}`, { cause: e });

/** The connection of a request that got no response. */
function streamOf(e: unknown): Duplex | undefined {
  if (e instanceof LostAnswer) return e.stream;
  return e instanceof Error ? streamOf(e.cause) : undefined;
}

/** If an older server does not report it, it is taken to be the same. */
const isAt = (one: Upstream, position: Position, id: string | undefined): boolean =>
  one.position === position && (one.id === undefined || id === undefined || one.id === id);

function questionOf({ position, id, readers }: Upstream): string {
  const question = new URLSearchParams({ after: String(position) });
  if (id !== undefined) question.set('id', id);
  if ([...readers.values()].includes('newest')) question.set('wanted', 'newest');
  return question.toString();
}

const closedError = (): CodedError => new CodedError('unavailable', 'the log was closed');

async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  response.setEncoding('utf8');
  let rest = '';
  for await (const chunk of response as AsyncIterable<string>) {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
    if (rest.length > maxLineChars) throw new CodedError('unavailable', 'a line of the log has no end');
  }
}
