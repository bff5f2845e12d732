import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { CodedError, isCoded, messageOf } from '../../src/base/errors.ts';
import { errorOf, isWriting, type Calls, type Operation, type Reply, type Request } from './protocol.ts';

interface Pending {
  readonly operation: Operation;
  resolve(answer: never): void;
  reject(e: Error): void;
}

/** Beside this file when the source runs; beside the bundle when it was built. */
function workerUrl(): URL {
  const source = new URL('./worker.ts', import.meta.url);
  return existsSync(source) ? source : new URL('./dir-worker.js', import.meta.url);
}

/** Talks to the worker thread. A thread that died is replaced at the next request. */
export class WorkerClient {
  readonly #path: string;
  readonly #mode: 'write' | 'read';
  readonly #url: URL;
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | undefined;
  #opening: Promise<void> | undefined;
  #wasOpen = false;
  #trouble: string | undefined;
  #lastId = 0;
  #closed = false;

  constructor(path: string, mode: 'write' | 'read', url: URL = workerUrl()) {
    this.#path = path;
    this.#mode = mode;
    this.#url = url;
  }

  /** Failures besides the writes, which succeeded. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Starts the thread and opens the store, if that has not been done. */
  open(): Promise<void> {
    this.#opening ??= this.#start();
    return this.#opening;
  }

  async call<O extends Operation>(operation: O, args: Calls[O]['args']): Promise<Calls[O]['answer']> {
    if (this.#closed) throw new CodedError('unavailable', 'the local log database is closed');
    await this.open();
    return this.#send(operation, args);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const worker = this.#worker;
    if (worker === undefined) return;
    const gone = new Promise((resolve) => worker.once('exit', resolve));
    await this.#send('close', undefined);
    await gone;
  }

  async #start(): Promise<void> {
    const worker = new Worker(this.#url, { name: 'log-store' });
    this.#worker = worker;
    worker.on('message', (reply: Reply) => {
      this.#take(reply);
    });
    worker.on('error', (e: unknown) => {
      this.#died(worker, messageOf(e));
    });
    worker.on('exit', () => {
      this.#died(worker, 'it ended');
    });
    try {
      await this.#send('open', { path: this.#path, mode: this.#mode });
      this.#wasOpen = true;
    } catch (e) {
      this.#opening = undefined;
      this.#worker = undefined;
      await worker.terminate();
      throw this.#wasOpen ? asRefusal(e) : e;
    }
  }

  #send<O extends Operation>(operation: O, args: Calls[O]['args']): Promise<Calls[O]['answer']> {
    const worker = this.#worker;
    if (worker === undefined) return Promise.reject(lost(operation, 'it ended'));
    const id = ++this.#lastId;
    const request: Request<O> = { id, operation, args };
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { operation, resolve, reject });
      worker.postMessage(request);
    });
  }

  #take(reply: Reply): void {
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if (pending === undefined) return;
    if ('failure' in reply) pending.reject(errorOf(reply.failure));
    else {
      this.#trouble = reply.trouble;
      pending.resolve(reply.answer as never);
    }
  }

  #died(worker: Worker, reason: string): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    this.#opening = undefined;
    for (const pending of this.#pending.values()) pending.reject(lost(pending.operation, reason));
    this.#pending.clear();
  }
}

/** A write that was under way may be stored. */
const lost = (operation: Operation, reason: string): CodedError =>
  new CodedError(
    isWriting(operation) ? 'ambiguous' : 'unavailable',
    `the thread of the local log database is gone: ${reason}`,
  );

/** A store that was opened once and cannot be opened any more is not a fault of the configuration. */
const asRefusal = (e: unknown): unknown =>
  isCoded(e, 'misconfigured') || isCoded(e, 'not_found')
    ? new CodedError('unavailable', e.message, { cause: e })
    : e;
