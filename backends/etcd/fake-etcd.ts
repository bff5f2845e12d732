/*
 * For tests: as much of an etcd as the driver uses, in memory, at one revision after the other, and what may
 * happen on the way to it and back.
 */
import type { ICompare, IKeyValue, IRequestOp, ITxnRequest, ITxnResponse } from 'etcd3';
import { asCoded, faultOf, unsettled } from './answers.ts';
import { keysBelow } from './keys.ts';
import type { Act } from './peers.ts';
import type { Store } from './store.ts';

interface Stored {
  readonly value: Buffer;
  readonly revision: number;
  readonly version: number;
}

/** The fate of one transaction that writes: whether it is carried out, now or later, and gets a reply. */
export interface Fate {
  readonly carriedOut: 'now' | 'later' | 'never';
  /** In place of the reply. */
  readonly says?: string;
}

export class FakeEtcd {
  readonly stored = new Map<string, Stored>();
  readonly freed: (string | undefined)[] = [];
  readonly heard: (string | undefined)[] = [];
  readonly keys = keysBelow('/teleport');
  /** Of the next transactions that write, in order. */
  readonly fates: Fate[] = [];
  /** The errors that the next reads get. */
  readonly readFailures: string[] = [];
  calls = 0;
  #late: (() => void)[] = [];
  #revision = 10;

  readonly store: Store = {
    keys: this.keys,
    freed: (revision) => this.freed.push(revision),
    wrote: (refusal) => this.heard.push(refusal?.code),
    peers: {
      call: (act) => this.#call(act),
      write: (act) => this.#write(act),
    },
  };

  /** Requests that were on their way arrive. */
  arrive(): void {
    for (const act of this.#late.splice(0)) act();
  }

  put(key: string, value: string | Uint8Array): void {
    this.#revision++;
    this.#set(key, Buffer.from(value as string));
  }

  delete(key: string): void {
    this.#revision++;
    this.stored.delete(key);
  }

  text(key: string): string | undefined {
    return this.stored.get(key)?.value.toString();
  }

  async #call<T>(act: Act<T>): Promise<T> {
    this.calls++;
    const failure = this.readFailures.shift();
    if (failure !== undefined) throw asCoded(new Error(failure), { place: 'a', opening: false });
    return act(this.#client(), { deadline: 0 });
  }

  async #write<T>(act: Act<T>): Promise<T> {
    this.calls++;
    const { carriedOut, says } = this.fates.shift() ?? { carriedOut: 'now' };
    let answer: Promise<T> | undefined;
    if (carriedOut === 'now') answer = act(this.#client(), { deadline: 0 });
    if (carriedOut === 'later') this.#late.push(() => void act(this.#client(), { deadline: 0 }));
    if (says === undefined) {
      if (answer === undefined) throw new Error('it has to say something');
      return answer;
    }
    const e = new Error(says);
    const proved = ['refused', 'not-sent'].includes(faultOf(e));
    throw (proved ? asCoded : unsettled)(e, { place: 'a', opening: false });
  }

  #client(): never {
    return { kv: { txn: (request: ITxnRequest) => Promise.resolve(this.#transact(request)) } } as never;
  }

  #transact({ compare = [], success = [], failure = [] }: ITxnRequest): ITxnResponse {
    const succeeded = compare.every((one) => this.#holds(one));
    const operations = succeeded ? success : failure;
    if (operations.some((one) => !one.request_range)) this.#revision++;
    const responses = operations.map((one) => this.#carryOut(one));
    return { succeeded, responses, header: { revision: String(this.#revision) } } as never;
  }

  #holds({ key, target, result, version, value, mod_revision: revision }: ICompare): boolean {
    const stored = this.stored.get(String(key));
    if (target === 'Value') return stored?.value.equals(value ?? Buffer.alloc(0)) === true;
    if (target === 'Mod') return (stored?.revision ?? 0) === Number(revision);
    const found = stored?.version ?? 0;
    return result === 'Greater' ? found > Number(version) : found === Number(version);
  }

  #carryOut({ request_put: put, request_range: range, request_delete_range: deletion }: IRequestOp): object {
    if (put) this.#set(String(put.key), put.value ?? Buffer.alloc(0));
    for (const key of this.#within(deletion)) this.stored.delete(key);
    if (!range) return {};
    const found = this.#within(range);
    const limit = Number(range.limit) || found.length;
    const kvs = found.slice(0, limit).map((key): Partial<IKeyValue> => {
      const { value = Buffer.alloc(0), revision = 0 } = this.stored.get(key) ?? {};
      return {
        key: Buffer.from(key),
        value: range.keys_only ? Buffer.alloc(0) : value,
        mod_revision: String(revision),
      };
    });
    return { response_range: { kvs, more: found.length > limit } };
  }

  #set(key: string, value: Buffer): void {
    const version = (this.stored.get(key)?.version ?? 0) + 1;
    this.stored.set(key, { value: Buffer.from(value), revision: this.#revision, version });
  }

  #within(range: { key?: Buffer; range_end?: Buffer } | undefined): string[] {
    if (!range) return [];
    const [from, end] = [String(range.key), range.range_end?.toString()];
    return [...this.stored.keys()]
      .filter((key) => (end === undefined ? key === from : key >= from && key < end))
      .sort();
  }
}
