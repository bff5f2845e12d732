import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { minute } from './duration.ts';
import { CodedError } from './errors.ts';
import { type AskResolver, unknownName } from './name-lookup.ts';
import { startTimer, stopTimer, type Timer } from './timers.ts';

/** A request to the process, one line of JSON. */
export interface NameQuestion {
  readonly id: number;
  readonly name: string;
}
/** Its reply, one line of JSON; `code` is getaddrinfo's. */
export type NameAnswer = { readonly id: number } & (
  { readonly addresses: readonly string[] } | { readonly code: string }
);

/** Lookups without a reply that nobody waits for any more: with this many another process replaces it. */
const maxGivenUp = 4;
/** How many processes may break off over one lookup. */
const maxBroken = 3;

/** A process that runs `answerNames`, or is about to. Input written before it runs waits for it. */
export interface Resolver {
  /** Its failures are those of the process, which `ended` reports. */
  readonly input: Writable;
  readonly output: Readable;
  /** With a description of its end, or of why it was not started. Never rejects. */
  readonly ended: Promise<string>;
  /** Ends it at once. */
  kill(): void;
}

interface Asked extends NameQuestion {
  readonly givenUp: AbortSignal;
  readonly settled: PromiseWithResolvers<readonly string[]>;
  broken: number;
}

/**
 * Looks up names in a process of its own, by the system's getaddrinfo (hosts file, nsswitch, DNS). A call of
 * that cannot be ended and holds a thread: here none of the few that files and passwords need, and none that
 * an end of the daemon waits for. The process starts with the first question, and ends when for a while there
 * was none.
 */
export class ResolverProcess {
  readonly #start: () => Resolver;
  readonly #idleMs: number;
  readonly #asked = new Map<number, Asked>();
  #resolver: Resolver | undefined;
  #idle: Timer | undefined;
  #nextId = 1;
  #closed = false;

  constructor(start: () => Resolver, { idleMs = 10 * minute }: { readonly idleMs?: number } = {}) {
    this.#start = start;
    this.#idleMs = idleMs;
  }

  readonly ask: AskResolver = (name, givenUp) => {
    if (this.#closed) return Promise.reject(notLookedUp(name, 'this process is ending'));
    const asked: Asked = {
      ...{ id: this.#nextId++, name, givenUp, broken: 0 },
      settled: Promise.withResolvers(),
    };
    givenUp.addEventListener('abort', () => {
      this.#replaceStuck();
    });
    this.#asked.set(asked.id, asked);
    stopTimer(this.#idle);
    this.#send(asked);
    return asked.settled.promise;
  };

  /** Ends the process at once; current lookups fail. */
  close(): void {
    this.#closed = true;
    stopTimer(this.#idle);
    this.#resolver?.kill();
    for (const asked of [...this.#asked.values()]) this.#fail(asked, 'this process is ending');
  }

  #send(asked: Asked): void {
    const { id, name } = asked;
    this.#resolver ??= this.#begin();
    this.#resolver.input.write(`${JSON.stringify({ id, name } satisfies NameQuestion)}\n`);
  }

  #begin(): Resolver {
    const resolver = this.#start();
    createInterface({ input: resolver.output }).on('line', (line) => {
      const answer = answerOf(line);
      if (resolver === this.#resolver && answer !== undefined) this.#receive(answer);
    });
    void resolver.ended.then((why) => {
      this.#ended(resolver, why);
    });
    return resolver;
  }

  #receive(answer: NameAnswer): void {
    const asked = this.#asked.get(answer.id);
    if (asked === undefined) return;
    if ('addresses' in answer) {
      asked.settled.resolve(answer.addresses);
      this.#done(asked);
    } else if (answer.code === 'ENOTFOUND') {
      asked.settled.reject(unknownName(asked.name));
      this.#done(asked);
    } else {
      this.#fail(asked, answer.code);
    }
  }

  /** Lookups that are still wanted are sent once more. */
  #ended(resolver: Resolver, why: string): void {
    if (resolver !== this.#resolver) return;
    this.#resolver = undefined;
    for (const asked of [...this.#asked.values()])
      if (asked.givenUp.aborted || ++asked.broken >= maxBroken) this.#fail(asked, why);
      else this.#send(asked);
  }

  #replaceStuck(): void {
    const givenUp = [...this.#asked.values()].filter(({ givenUp: { aborted } }) => aborted);
    const resolver = this.#resolver;
    if (givenUp.length < maxGivenUp || resolver === undefined) return;
    for (const asked of givenUp) this.#fail(asked, 'nobody waits for it any more');
    resolver.kill();
    this.#resolver = undefined;
    for (const asked of this.#asked.values()) this.#send(asked);
  }

  #fail(asked: Asked, why: string): void {
    asked.settled.reject(notLookedUp(asked.name, why));
    this.#done(asked);
  }

  #done(asked: Asked): void {
    this.#asked.delete(asked.id);
    if (this.#asked.size > 0 || this.#closed) return;
    this.#idle = startTimer(() => {
      this.#resolver?.input.end();
      this.#resolver = undefined;
    }, this.#idleMs);
    this.#idle.unref();
  }
}

/** Undefined: a line that its process did not finish, or output of a module of the system's resolver. */
function answerOf(line: string): NameAnswer | undefined {
  try {
    const said: unknown = JSON.parse(line);
    return typeof said === 'object' && said !== null ? (said as NameAnswer) : undefined;
  } catch {
    return undefined; // its lookup is sent again when the process has ended, or dropped
  }
}

const notLookedUp = (name: string, why: string): CodedError =>
  new CodedError('unavailable', `the name ${name} cannot be looked up: ${why}`);
