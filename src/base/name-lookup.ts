import { isIP } from 'node:net';
import { CodedError } from './errors.ts';

/** The caller of a lookup. */
export interface Asking {
  /** One caller's lookups do not delay another's: one name for each person or thing. */
  readonly by: string;
  /** Aborted when nobody waits for it any more. */
  readonly signal: AbortSignal;
}

/**
 * The addresses of a name, in the order in which the system would try them; for an address, itself.
 * @throws CodedError `not_found` for a name that is not known, `unavailable` when the resolver has no answer,
 *   when too many questions wait, or once the signal is aborted.
 */
export type LookUpName = (name: string, asking: Asking) => Promise<readonly string[]>;

/**
 * Asks the system's resolver; rejects with a CodedError. `givenUp` is aborted when nobody waits any more. Its
 * place goes to another once it is settled.
 */
export type AskResolver = (name: string, givenUp: AbortSignal) => Promise<readonly string[]>;

/** How many lookups there may be at a time. */
export interface LookupLimits {
  readonly asked: number;
  readonly askedByOne: number;
  readonly waitingOfOne: number;
  readonly waiting: number;
}
export const lookupLimits: LookupLimits = { asked: 32, askedByOne: 4, waitingOfOne: 256, waiting: 2_048 };

/** Source: RFC 1035, 2.3.4. */
const maxNameBytes = 255;

/** Gives each client a few places at the resolver; concurrent callers with the same name share the result. */
export function nameLookup(ask: AskResolver, limits: LookupLimits = lookupLimits): LookUpName {
  const questions = new Questions(ask, limits);
  return async (name, asking) => {
    if (isIP(name) !== 0) return [name];
    if (name === '' || Buffer.byteLength(name) > maxNameBytes) throw unknownName(name);
    return questions.answer(name, asking);
  };
}

export const unknownName = (name: string): CodedError =>
  new CodedError('not_found', `the name ${name.slice(0, maxNameBytes)} is not known`);

interface Question {
  readonly name: string;
  readonly by: string;
  readonly settled: PromiseWithResolvers<readonly string[]>;
  readonly givenUp: AbortController;
  waiters: number;
}

class Questions {
  readonly #ask: AskResolver;
  readonly #limits: LookupLimits;
  /** By caller and name. */
  readonly #all = new Map<string, Question>();
  /** Not asked yet, the oldest first. */
  readonly #waiting = new Set<Question>();
  readonly #asked = new Map<string, number>();
  #askedInAll = 0;

  constructor(ask: AskResolver, limits: LookupLimits) {
    this.#ask = ask;
    this.#limits = limits;
  }

  answer(name: string, { by, signal }: Asking): Promise<readonly string[]> {
    if (signal.aborted) return Promise.reject(left());
    const question = this.#all.get(keyOf({ name, by })) ?? this.#add(name, by);
    question.waiters++;
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#leave(question);
        reject(left());
      };
      signal.addEventListener('abort', leave, { once: true });
      question.settled.promise.then(resolve, reject).finally(() => {
        signal.removeEventListener('abort', leave);
      });
    });
  }

  /** @throws CodedError `unavailable` when too many wait. */
  #add(name: string, by: string): Question {
    const own = [...this.#waiting].filter((question) => question.by === by).length;
    if (this.#waiting.size >= this.#limits.waiting || own >= this.#limits.waitingOfOne)
      throw new CodedError('unavailable', 'too many names are being looked up, try again');
    const question: Question = {
      ...{ name, by, waiters: 0 },
      settled: Promise.withResolvers(),
      givenUp: new AbortController(),
    };
    question.settled.promise.catch(() => undefined); // those who wait hear of it; there may be none any more
    this.#all.set(keyOf(question), question);
    this.#waiting.add(question);
    this.#askNext();
    return question;
  }

  #leave(question: Question): void {
    question.waiters--;
    if (question.waiters > 0) return;
    this.#forget(question);
    if (!this.#waiting.delete(question)) question.givenUp.abort();
  }

  /** Later callers with the same name ask the resolver again. */
  #forget(question: Question): void {
    const key = keyOf(question);
    if (this.#all.get(key) === question) this.#all.delete(key);
  }

  #askNext(): void {
    for (const question of this.#waiting) {
      if (this.#askedInAll >= this.#limits.asked) return;
      if ((this.#asked.get(question.by) ?? 0) >= this.#limits.askedByOne) continue;
      this.#waiting.delete(question);
      this.#count(question.by, 1);
      const { promise, resolve, reject } = question.settled;
      this.#ask(question.name, question.givenUp.signal).then(resolve, reject);
      void promise
        .catch(() => undefined)
        .finally(() => {
          this.#forget(question);
          this.#count(question.by, -1);
          this.#askNext();
        });
    }
  }

  #count(by: string, change: 1 | -1): void {
    this.#askedInAll += change;
    const asked = (this.#asked.get(by) ?? 0) + change;
    if (asked === 0) this.#asked.delete(by);
    else this.#asked.set(by, asked);
  }
}

const keyOf = ({ by, name }: Pick<Question, 'by' | 'name'>): string => JSON.stringify([by, name]);

const left = (): CodedError => new CodedError('unavailable', 'the client has left');
