import { hash } from 'node:crypto';
import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import { jsonInTurns } from '../base/json-in-turns.ts';
import { startTimer, stopTimer, type Timer } from '../base/timers.ts';
import { turns } from '../base/turns.ts';
import type { ViewState } from '../log/event-log.ts';
import type { Partition } from '../log/event.ts';
import type { Who } from './operation.ts';
import type { ServedLogs } from './served-logs.ts';

/** A state that is a moment old is good enough to begin from: newer events are followed. */
const freshMs = 1_000;
/** A transfer that broke may be continued for this long after its last use. */
const keptMs = 60_000;
/** Of bodies that are kept for that. Those in use are beside it, one for each second in which one began. */
const mostKeptBytes = 64 * 1024 * 1024;
/** What is smaller is not worth compressing. */
const leastCompressed = 1_024;

/** How a body is written. */
export type Encoding = 'gzip' | 'identity';

/** The answer to everybody who asked for the same within a second: one buffer, however many read it. */
export interface SnapshotBody {
  readonly bytes: Buffer;
  readonly encoding: Encoding;
  /** Says which bytes these are. */
  readonly etag: string;
}

export interface SnapshotQuestion {
  readonly who: Who;
  readonly partition: Partition;
  readonly projection: string;
  readonly encoding: Encoding;
}

export interface SnapshotBodies {
  /** Undefined when there is nothing for such a caller. */
  newest(question: SnapshotQuestion): Promise<SnapshotBody | undefined>;
  /**
   * The body of which a caller has a part, as long as it is kept. Only one that answered the same question.
   */
  kept(question: SnapshotQuestion, etag: string): SnapshotBody | undefined;
}

/** The states of a partition's views at a moment, and the bodies that were made of them. */
interface Generation {
  readonly states: readonly ViewState[];
  readonly bodies: Map<string, Promise<SnapshotBody | undefined>>;
}

const compress = promisify(gzip);

/**
 * Where a reader of a log may begin: `{"position":…,"state":…}`. Taken from the server's own views, so that a
 * reader continues from now; otherwise from the stored snapshots. Made once per second for all callers: ten
 * thousand hosts that start together cost the same as one.
 */
export function snapshotBodies(logs: Pick<ServedLogs, 'log' | 'policy' | 'views'>): SnapshotBodies {
  const generations = new Map<Partition, Generation>();
  const kept = new KeptBodies();
  const generationOf = (partition: Partition): Generation => {
    const known = generations.get(partition);
    if (known) return known;
    const made = { states: logs.views?.(partition) ?? [], bodies: new Map() };
    generations.set(partition, made);
    // Not kept for readers that may come much later.
    startTimer(() => {
      generations.delete(partition);
    }, freshMs).unref();
    return made;
  };
  const bodyOf = async (question: SnapshotQuestion, view: ViewState): Promise<SnapshotBody | undefined> => {
    const { who, partition, encoding } = question;
    const state = logs.policy.snapshotFor(who, partition, view.name, view.state);
    if (state === undefined) return undefined;
    const pieces = await jsonInTurns({ position: view.position, state }, turns());
    if (pieces === undefined) return undefined;
    const body = await encoded(Buffer.from(pieces.join('')), encoding);
    kept.add(keyOf(question), body);
    return body;
  };
  return {
    newest: async (question) => {
      const { partition, projection } = question;
      const { states, bodies } = generationOf(partition);
      const view = states.find(({ name }) => name === projection);
      if (view === undefined) {
        const stored = await logs.log[partition].snapshot(projection);
        return stored && bodyOf(question, { name: projection, ...stored });
      }
      const body = bodies.get(keyOf(question)) ?? bodyOf(question, view);
      bodies.set(keyOf(question), body);
      return body;
    },
    kept: (question, etag) => kept.find(keyOf(question), etag),
  };
}

const keyOf = ({ who, partition, projection, encoding }: SnapshotQuestion): string =>
  `${who} ${partition} ${projection} ${encoding}`;

async function encoded(text: Buffer, wanted: Encoding): Promise<SnapshotBody> {
  const encoding = text.length < leastCompressed ? 'identity' : wanted;
  const bytes = encoding === 'gzip' ? await compress(text, { level: constants.Z_BEST_SPEED }) : text;
  return { bytes, encoding, etag: `"${hash('sha256', bytes, 'hex').slice(0, 32)}"` };
}

/** Each for a while after its last use; when they are too large together the oldest go. */
class KeptBodies {
  readonly #bodies = new Map<string, { readonly body: SnapshotBody; readonly timer: Timer }>();
  #bytes = 0;

  add(key: string, body: SnapshotBody): void {
    const name = `${key} ${body.etag}`;
    this.#remove(name);
    const timer = startTimer(() => {
      this.#remove(name);
    }, keptMs).unref();
    this.#bodies.set(name, { body, timer });
    this.#bytes += body.bytes.length;
    for (const oldest of this.#bodies.keys()) {
      if (this.#bytes <= mostKeptBytes) break;
      this.#remove(oldest);
    }
  }

  find(key: string, etag: string): SnapshotBody | undefined {
    const found = this.#bodies.get(`${key} ${etag}`);
    found?.timer.restart();
    return found?.body;
  }

  #remove(name: string): void {
    const found = this.#bodies.get(name);
    if (found === undefined) return;
    stopTimer(found.timer);
    this.#bytes -= found.body.bytes.length;
    this.#bodies.delete(name);
  }
}
