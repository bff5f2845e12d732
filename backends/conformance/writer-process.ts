import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { StreamName } from '../../src/log/event.ts';
import type { openDirectoryDriver } from '../dir/open.ts';
import type { openDynamodbDriver } from '../dynamodb/open.ts';
import type { openEtcdDriver } from '../etcd/open.ts';

/** Where a writer writes: the options of the driver that it opens, and the partition. */
export type WriterStore = { readonly partition: 'state' | 'audit' } & (
  | { readonly type: 'dir'; readonly options: Parameters<typeof openDirectoryDriver>[0] }
  | { readonly type: 'etcd'; readonly options: Parameters<typeof openEtcdDriver>[0] }
  | { readonly type: 'dynamodb'; readonly options: Parameters<typeof openDynamodbDriver>[0] }
);

const program = fileURLToPath(new URL('./trial-writer.ts', import.meta.url));
/** Of each writer. */
const streams = 8;

/** A process that appends until it is killed, and the appends that were confirmed to it. */
export class WriterProcess {
  readonly acknowledged = new Map<StreamName, number>();
  readonly #child: ChildProcess;
  #count = 0;
  #waiting: { count: number; resolve: () => void } | undefined;
  #failure = '';

  constructor(store: WriterStore, name: string) {
    this.#child = spawn(process.execPath, [program, JSON.stringify(store), name, String(streams)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.#failure += chunk.toString()));
    if (this.#child.stdout)
      createInterface(this.#child.stdout).on('line', (line) => {
        const [, stream = '', revision = ''] = line.split(' ');
        this.acknowledged.set(stream as StreamName, Number(revision));
        if (++this.#count === this.#waiting?.count) this.#waiting.resolve();
      });
  }

  /** Resolves when this many appends in all were acknowledged. */
  async until(count: number): Promise<void> {
    const reached = new Promise<void>((resolve) => {
      this.#waiting = { count, resolve };
      if (this.#count >= count) resolve();
    });
    await Promise.race([reached, once(this.#child, 'exit')]);
    if (this.#child.exitCode !== null) throw new Error(`the writer ended by itself: ${this.#failure}`);
  }

  /** SIGKILL, and everything that it had printed before. */
  async kill(): Promise<void> {
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
  }
}
