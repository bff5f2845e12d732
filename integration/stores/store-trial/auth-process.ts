import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Heard, Session, Stored } from './history.ts';
import type { Question } from './question.ts';

const program = fileURLToPath(new URL('./worker.ts', import.meta.url));

export type Reply =
  | { readonly status: 'answered'; readonly answer: unknown }
  | { readonly status: 'refused'; readonly code: string; readonly message: string }
  /** The process ended before it answered. */
  | { readonly status: 'silent' };

interface Line {
  readonly id?: number;
  readonly answer?: unknown;
  readonly code?: string;
  readonly message?: string;
  readonly session?: number;
  readonly heard?: Stored;
}

/** One process of an auth server, until it ends. */
export class AuthProcess {
  readonly name: string;
  readonly sessions: (Session & { readonly events: Heard[] })[] = [];
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  readonly #ready: Promise<void>;
  #asked = 0;
  #failure = '';

  constructor(name: string, keyringFile: string, peers: readonly string[]) {
    this.name = name;
    this.#child = spawn(process.execPath, [program, name, keyringFile, peers.join(',')]);
    this.#child.stderr.on('data', (chunk: Buffer) => (this.#failure += chunk.toString()));
    // It may have been killed while it was written to.
    this.#child.stdin.on('error', () => undefined);
    let isReady = (): void => undefined;
    this.#ready = new Promise((ready) => (isReady = ready));
    createInterface(this.#child.stdout).on('line', (text) => {
      const line = JSON.parse(text) as Line & { readonly ready?: true };
      if (line.ready) isReady();
      else if (line.id !== undefined) this.#take(line.id, line);
      else this.#hear(line);
    });
    this.#child.on('close', () => {
      for (const settle of this.#waiting.values()) settle({ status: 'silent' });
      this.#waiting.clear();
    });
  }

  /** @throws Error when it ends before it is ready. */
  async ready(): Promise<void> {
    await Promise.race([this.#ready, once(this.#child, 'close')]);
    if (this.ended()) throw new Error(`${this.name} did not start: ${this.#failure}`);
  }

  ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** What it said when it ended by itself. */
  crash(): string | undefined {
    return this.#child.exitCode === null ? undefined : `${this.name} ended by itself: ${this.#failure}`;
  }

  ask(question: Question): Promise<Reply> {
    if (this.ended()) return Promise.resolve({ status: 'silent' });
    const id = ++this.#asked;
    return new Promise((settle) => {
      this.#waiting.set(id, settle);
      this.#child.stdin.write(`${JSON.stringify({ id, ask: question })}\n`);
    });
  }

  /** @throws Error when it does not answer. */
  async must<T>(question: Question): Promise<T> {
    const reply = await this.ask(question);
    if (reply.status === 'answered') return reply.answer as T;
    const why = reply.status === 'silent' ? 'it ended' : `${reply.code}: ${reply.message}`;
    throw new Error(`${this.name} did not answer ${question.kind}: ${why}`);
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal);
  }

  async kill(): Promise<void> {
    if (this.ended()) return;
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
  }

  #take(id: number, { code, message = '', answer }: Line): void {
    this.#waiting.get(id)?.(
      code === undefined ? { status: 'answered', answer } : { status: 'refused', code, message },
    );
    this.#waiting.delete(id);
  }

  #hear({ heard }: Line): void {
    const at = performance.now();
    if (heard === undefined) this.sessions.push({ worker: this.name, began: at, events: [] });
    else this.sessions.at(-1)?.events.push({ ...heard, at });
  }
}
