import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Context, Hono } from 'hono';
import { z } from 'zod';
import { CodedError, isCoded } from '../base/errors.ts';
import { instant } from '../base/time.ts';
import type { EventLog } from '../log/event-log.ts';
import { type Partition, partitions, type Position, type Recorded } from '../log/event.ts';
import { actorOf, admit as admitCaller, whoOf } from './guard.ts';
import type { LiveTail } from './live-tail.ts';
import { errorLine, eventLine, headLine, positionLine } from './log-lines.ts';
import type { Caller } from './operation.ts';
import type { ServedLogs } from './served-logs.ts';
import type { ServerDeps, ServerEnv } from './server-deps.ts';
import { room } from './room.ts';
import { transfers } from './send-snapshot.ts';
import {
  type SnapshotBody,
  snapshotBodies,
  type SnapshotBodies,
  type SnapshotQuestion,
} from './snapshot-bodies.ts';

const partitionParam = z.enum(partitions);
const afterParam = z.coerce.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const idParam = z.string().max(64).optional();
/** Anything else, as that of a later release, is `all`. */
const wantedParam = z.literal('newest').optional().catch(undefined);
const beforeParam = instant;
/** Behind by more than this, a snapshot costs the server and the reader less than the events. */
const farEvents = 5_000;
const chunkChars = 32 * 1024;
/** After this many hidden events a reader is sent its position. */
const markEvery = 1000;
/** Signs of life cost a server at most one line in this time, however many followers there are. */
const signOfLifeMs = 1;
const longestSilenceMs = 20_000;

export function addLogRoutes(app: Hono<ServerEnv>, logs: ServedLogs, deps: ServerDeps): void {
  const followers = { count: 0 };
  const everyMs = (): number =>
    Math.max(logs.keepAliveMs, Math.min(longestSilenceMs, followers.count * signOfLifeMs));
  app.get('/v3/log/:partition', async (c) => {
    const { caller, partition } = admit(c, logs, deps);
    const after = afterParam.safeParse(c.req.query('after') ?? '0');
    if (!after.success) throw new CodedError('bad_request', 'after: not a position');
    const id = idParam.safeParse(c.req.query('id'));
    if (!id.success) throw new CodedError('bad_request', 'id: not the id of an event');
    const log = logs.log[partition];
    if (after.data > logs.tails[partition].head() && after.data > (await log.head()))
      throw new CodedError(
        'cursor_too_old',
        `this log has no event ${after.data}: the reader holds another one`,
      );
    refuseToServe(logs, partition, logs.tails[partition].era());
    if (wantedParam.parse(c.req.query('wanted')) === 'newest') refuseFarBehind(logs, partition, after.data);
    if (id.data !== undefined && !(await log.holds(after.data, id.data)))
      throw new CodedError(
        'cursor_too_old',
        `this log has another event ${after.data} than the reader: it went back, and has gone on since`,
      );
    const { outgoing } = c.env;
    const leave = deps.limits.follow(caller);
    const release = logs.tails[partition].hold();
    followers.count++;
    atClose(outgoing, () => {
      followers.count--;
      release();
      leave();
    });
    return stream({ logs, log, caller, partition, after: after.data, everyMs }, outgoing, deps);
  });
  app.get('/v3/log/:partition/position', async (c) => {
    const { partition } = admit(c, logs, deps);
    refuseWhatIsOld(logs);
    const before = beforeParam.safeParse(c.req.query('before'));
    if (!before.success) throw new CodedError('bad_request', 'before: not a moment');
    return c.json({ position: await logs.log[partition].positionBefore(before.data) });
  });
  const snapshots = snapshotBodies(logs);
  const sending = transfers(() => performance.now());
  app.get('/v3/log/:partition/snapshot/:projection', async (c) => {
    const { caller, partition } = admit(c, logs, deps);
    refuseWhatIsOld(logs);
    const encoding = acceptsGzip(c.req.header('accept-encoding')) ? 'gzip' : 'identity';
    const question = {
      who: whoOf(caller),
      partition,
      projection: c.req.param('projection'),
      encoding,
    } as const;
    const { body, from } = await answerTo(snapshots, question, {
      range: c.req.header('range'),
      etag: c.req.header('if-range'),
    });
    if (body === undefined) throw new CodedError('not_found', 'there is no such snapshot for this caller');
    sending.send(body, from, c.env.outgoing);
    return RESPONSE_ALREADY_SENT;
  });
}

const acceptsGzip = (header = ''): boolean => /(^|[,\s])gzip\s*($|[,;])/.test(header);

/** The rest of what the caller has a part of, as long as that is kept; otherwise the newest, as a whole. */
async function answerTo(
  snapshots: SnapshotBodies,
  question: SnapshotQuestion,
  { range, etag }: { readonly range: string | undefined; readonly etag: string | undefined },
): Promise<{ readonly body: SnapshotBody | undefined; readonly from: number }> {
  const from = Number(/^bytes=(\d{1,15})-$/.exec(range ?? '')?.[1] ?? 0);
  const kept = etag === undefined || from === 0 ? undefined : snapshots.kept(question, etag);
  if (kept !== undefined && from < kept.bytes.length) return { body: kept, from };
  return { body: await snapshots.newest(question), from: 0 };
}

function admit(
  c: Context<ServerEnv>,
  logs: ServedLogs,
  deps: ServerDeps,
): { caller: Caller; partition: Partition } {
  c.set('operation', 'log.follow');
  const caller = deps.callerOf(c.env.incoming.socket);
  const partition = partitionParam.safeParse(c.req.param('partition'));
  if (!partition.success) throw new CodedError('not_found', 'there is no such partition');
  const followers = logs.policy.followers(partition.data);
  admitCaller(followers, caller, `the ${partition.data} log`);
  deps.limits.call(caller, { who: followers });
  return { caller, partition: partition.data };
}

/**
 * @param era that of the tail when the reader came.
 * @throws CodedError `unavailable` while this server gets nothing new: signs of life would claim the
 *   opposite.
 */
function refuseToServe(logs: ServedLogs, partition: Partition, era: number): void {
  const tail = logs.tails[partition];
  const failure = tail.failure();
  if (failure) throw failure;
  if (tail.era() !== era)
    throw new CodedError('unavailable', 'the log of this auth server has gone back: ask again');
  refuseWhatIsOld(logs);
}

/**
 * By what this server would answer as a snapshot: a reader that begins from that is not refused again.
 * @throws CodedError `far_behind`
 */
function refuseFarBehind({ views }: ServedLogs, partition: Partition, after: Position): void {
  const positions = (views?.(partition) ?? []).map(({ position }) => position);
  if (positions.length > 0 && Math.min(...positions) - after > farEvents)
    throw new CodedError('far_behind', `more than ${farEvents} events have followed ${after}`);
}

/** @throws CodedError `unavailable` while this server's view of its store may be old. */
function refuseWhatIsOld({ trouble }: ServedLogs): void {
  const why = trouble?.();
  if (why !== undefined) throw new CodedError('unavailable', `this auth server ${why}`);
}

interface Reading {
  readonly logs: ServedLogs;
  readonly log: EventLog;
  readonly caller: Caller;
  readonly partition: Partition;
  readonly after: Position;
  /** How often a sign of life is due now. */
  readonly everyMs: () => number;
}

/**
 * Nothing is read before the reader has space for it, so a slow reader costs a chunk or two of memory. The
 * lines go to the socket unchanged, to the end of the connection: in a large cluster they are most of an auth
 * server's output.
 */
async function stream(reading: Reading, outgoing: Outgoing, deps: ServerDeps): Promise<Response> {
  const gone = new AbortController();
  atClose(outgoing, () => {
    gone.abort();
  });
  const signal = AbortSignal.any([gone.signal, reading.logs.stopping]);
  const source = chunks(reading, signal);
  // The first chunk is made before the response begins, so that a trimmed position is a proper refusal.
  const first = await source.next();
  deps.metrics.add('log_streams_opened_total', 1, { partition: reading.partition });
  deps.sink.debug('a caller follows the log', {
    caller: actorOf(reading.caller),
    partition: reading.partition,
  });
  outgoing.removeHeader('transfer-encoding');
  outgoing.writeHead(200, {
    'content-type': 'application/x-ndjson',
    'cache-control': 'no-store',
    connection: 'close',
  });
  void write(first, source, { outgoing, signal, deps });
  return RESPONSE_ALREADY_SENT;
}

type Outgoing = Context<ServerEnv>['env']['outgoing'];

/**
 * Once. If the caller left while the log was being read, its close event has passed, and this counts as
 * closed.
 */
function atClose(outgoing: Outgoing, then: () => void): void {
  if (outgoing.destroyed) then();
  else outgoing.once('close', then);
}
type Chunks = AsyncGenerator<string, undefined>;

async function write(
  first: IteratorResult<string, undefined>,
  source: Chunks,
  { outgoing, signal, deps }: { outgoing: Outgoing; signal: AbortSignal; deps: ServerDeps },
): Promise<void> {
  try {
    for (let next = first; next.done !== true; next = await source.next())
      if (!outgoing.write(next.value)) await room(outgoing, signal);
  } catch (e) {
    // Too late for a status: the last line has the reason.
    const coded = isCoded(e);
    if (!coded) deps.sink.error('bug: a log stream failed', { error: String(e) });
    outgoing.write(coded ? errorLine(e.code, e.message) : errorLine('internal', 'internal error'));
  }
  outgoing.end();
}

/** The lines that report that this server is alive, and how new its data is. */
class SignsOfLife {
  readonly #reading: Reading;
  readonly #tail: LiveTail;
  #saidAt = 0;
  #due = true;

  constructor(reading: Reading, tail: LiveTail) {
    this.#reading = reading;
    this.#tail = tail;
  }

  /** Whether nothing came in the time in which a sign is due. */
  wasQuiet(it: boolean): void {
    this.#due ||= it;
  }

  /** Empty while none is due. */
  next(): string {
    const { logs, everyMs } = this.#reading;
    const now = performance.now();
    if (!this.#due && now - this.#saidAt < everyMs()) return '';
    [this.#due, this.#saidAt] = [false, now];
    return headLine(this.#tail.head(), everyMs(), logs.ageMs?.());
  }
}

async function* chunks(reading: Reading, signal: AbortSignal): Chunks {
  const { logs, log, caller, partition, everyMs } = reading;
  const tail = logs.tails[partition];
  const era = tail.era();
  const who = whoOf(caller);
  let at = reading.after;
  let atId = '';
  let told = at;
  const signs = new SignsOfLife(reading, tail);
  let text = signs.next();
  const over = (): boolean => signal.aborted;
  const take = (event: Recorded): void => {
    at = event.position;
    atId = event.id;
    if (logs.policy.visible(who, partition, event)) text += eventLine(event);
    else if (at - told >= markEvery) text += positionLine(at, atId);
    else return;
    told = at;
  };
  const isFull = (): boolean => text.length >= chunkChars;
  const cut = (): string => {
    const whole = text;
    text = '';
    return whole;
  };
  while (!over()) {
    refuseToServe(logs, partition, era);
    // Of ten thousand machines each has ten thousand renewals of others behind it, when authorities rotate.
    const passed = tail.passOver(at, who);
    if (passed !== undefined) [at, atId] = [passed.position, passed.id];
    // One at a time, and nothing of the tail is kept between two chunks: a slow reader holds no more than a
    // chunk.
    for (let held = tail.at(at + 1); held !== undefined; held = tail.at(at + 1)) {
      take(held);
      if (!isFull()) continue;
      yield cut();
      if (over()) return;
    }
    if (at < tail.head())
      for await (const event of log.history(at)) {
        take(event);
        if (!isFull()) continue;
        yield cut();
        if (over()) return;
      }
    if (told < at) text += positionLine(at, atId);
    told = at;
    // After the events, so that a reader that has them all knows it, even one that gets so many that no time
    // is quiet.
    text += signs.next();
    if (text !== '') yield cut();
    await tail.changed(at, { who, ms: everyMs(), signal });
    signs.wasQuiet(tail.head() <= at);
  }
}
