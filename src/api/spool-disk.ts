import { minute } from '../base/duration.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { Instant } from '../base/time.ts';
import type { World } from '../base/world.ts';

export type DiskState =
  | { readonly status: 'writable' }
  | { readonly status: 'refusing'; readonly since: Instant; readonly reason: string };

export interface SpoolDiskOptions {
  readonly directory: string;
  /** Of the reserve; without one nobody can enter on a full disk. */
  readonly reserveBytes?: number;
  readonly sink: Pick<LogSink, 'info' | 'error'>;
  readonly world: Pick<World, 'now' | 'monotonic'>;
}

/**
 * Whether the disk of a spool accepts writes, as the writes themselves showed. The log gets a line when a
 * failure began and when it ended, and once a minute the number of refusals in between; a disk that fails and
 * recovers repeatedly causes no more lines than that.
 */
export class SpoolDisk {
  readonly #options: SpoolDiskOptions;
  #state: DiskState = { status: 'writable' };
  #toldAt = -Infinity;
  /** Whether the failure was logged: then its end is logged too. */
  #told = false;
  #refused = 0;

  constructor(options: SpoolDiskOptions) {
    this.#options = options;
  }

  state(): DiskState {
    return this.#state;
  }

  /** A write failed. */
  failed(reason: string): void {
    if (this.#state.status === 'writable')
      this.#state = { status: 'refusing', since: this.#options.world.now(), reason };
    this.#tell();
  }

  /** An action was not allowed, since it could not be recorded. */
  refused(): void {
    this.#refused++;
    this.#tell();
  }

  works(): void {
    if (this.#state.status === 'writable') return;
    const { since } = this.#state;
    this.#state = { status: 'writable' };
    if (this.#told)
      this.#options.sink.info('the disk of the audit spool takes writes again', {
        since,
        refused: this.#refused,
      });
    this.#told = false;
    this.#refused = 0;
  }

  #tell(): void {
    const { sink, world, directory, reserveBytes = 0 } = this.#options;
    if (this.#state.status === 'writable' || world.monotonic() - this.#toldAt < minute) return;
    this.#toldAt = world.monotonic();
    this.#told = true;
    const others =
      reserveBytes === 0
        ? ''
        : ': only people whose role has the option enterOnFullDisk get in (the admin role has it)';
    sink.error(`the disk of the audit spool takes nothing${others}. Free space on it`, {
      directory,
      ...this.#state,
      refused: this.#refused,
    });
  }
}
