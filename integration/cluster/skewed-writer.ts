import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { until } from '../harness/run-program.ts';

const program = fileURLToPath(new URL('./shared-writer.ts', import.meta.url));

/**
 * What gives a process a clock of its own, where it is installed; else the programs shift theirs themselves.
 */
export const faketime = ((): string => {
  const asked = spawnSync('faketime', ['-f', '+0s', 'sh', '-c', 'printf %s "$LD_PRELOAD"']);
  return asked.status === 0 ? asked.stdout.toString() : '';
})();

/** A writer in a process of its own, and the ids of what it was told is stored. */
export class SkewedWriter {
  readonly acknowledged: string[] = [];
  readonly child: ChildProcessWithoutNullStreams;
  #failure = '';

  constructor(path: string, name: string, shiftSeconds: number, generation = 0) {
    const args = [program, path, name, '4', String(generation)];
    const shift = `${shiftSeconds < 0 ? '-' : '+'}${Math.abs(shiftSeconds)}s`;
    const clock =
      faketime === ''
        ? { CLOCK_SHIFT_MS: String(shiftSeconds * 1000) }
        : { LD_PRELOAD: faketime, FAKETIME: shift, FAKETIME_DONT_FAKE_MONOTONIC: '1', NO_FAKE_STAT: '1' };
    this.child = spawn(process.execPath, args, { env: { ...process.env, ...clock } });
    this.child.stderr.on('data', (chunk: Buffer) => (this.#failure += chunk.toString()));
    createInterface(this.child.stdout).on('line', (line) => {
      const [word, id = ''] = line.split(' ');
      if (word === 'acknowledged') this.acknowledged.push(id);
    });
  }

  /** The oldest of the streams it writes now. */
  generation(): number {
    const latest = this.acknowledged.slice(-20).map((id) => Number(/x(\d+):/.exec(id)?.[1]));
    return latest.length === 0 ? 0 : Math.min(...latest);
  }

  async until(count: number): Promise<void> {
    const asked = (): true | undefined => {
      if (this.child.exitCode !== null) throw new Error(`the writer ended by itself: ${this.#failure}`);
      return this.acknowledged.length >= count || undefined;
    };
    await until(`${count} appends`, asked, 120_000);
  }

  async kill(): Promise<void> {
    const closed = once(this.child, 'close');
    this.child.kill('SIGKILL');
    await closed;
  }
}
