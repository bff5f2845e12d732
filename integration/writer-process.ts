import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { StreamName } from '../src/log/event.ts';

/** A program that appends until it is killed, and what it was told is stored. */
export class WriterProcess {
  readonly acknowledged = new Map<StreamName, number>();
  readonly #child: ChildProcess;
  #count = 0;
  #waiting: { count: number; resolve: () => void } | undefined;
  #failure = '';

  /** `program` prints `acknowledged <stream> <revision>` after each append that was. */
  constructor(program: string, args: readonly string[]) {
    this.#child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.#failure += chunk.toString()));
    if (this.#child.stdout)
      createInterface(this.#child.stdout).on('line', (line) => {
        const [, stream = '', revision = ''] = line.split(' ');
        this.acknowledged.set(stream as StreamName, Number(revision));
        if (++this.#count === this.#waiting?.count) this.#waiting.resolve();
      });
  }

  /** Resolves when so many appends in all were acknowledged. */
  async until(count: number): Promise<void> {
    const reached = new Promise<void>((resolve) => {
      this.#waiting = { count, resolve };
      if (this.#count >= count) resolve();
    });
    await Promise.race([reached, once(this.#child, 'exit')]);
    if (this.#child.exitCode !== null) throw new Error(`the writer ended by itself: ${this.#failure}`);
  }

  /** SIGKILL, and all that it had printed before. */
  async kill(): Promise<void> {
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
  }
}
