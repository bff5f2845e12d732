import { silentLog, type LogSink } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import type { ClusterLog, EventLog } from '../../src/log/event-log.ts';
import type { Cause, Fact, Partition, Position, Recorded, StreamName } from '../../src/log/event.ts';
import { memoryKeyring, type Keyring } from '../../src/log/keyring.ts';
import { openLog, type LogOptions } from '../../src/log/open-log.ts';
import type { SlotDriver } from '../../src/log/slot-driver.ts';

/** One store under trial. */
export interface TrialStore {
  /** Another handle on the store, as another process would have. */
  connect(): Promise<SlotDriver>;
  /** Changes, or with undefined removes, the content of a slot, unnoticed by every handle. */
  spoil(
    partition: Partition,
    slot: number,
    change: (batch: Uint8Array) => Uint8Array | undefined,
  ): Promise<void>;
  /**
   * Remembers everything in the store. The returned function restores that, unnoticed by every handle, as a
   * restored snapshot of etcd or a directory from a backup would.
   */
  save(): Promise<() => Promise<void>>;
  /** Whether an append takes so long that loops are shorter here. */
  readonly isSlow?: boolean;
  dispose(): Promise<void>;
}

/** Handles on one store, closed together. */
export class Trial {
  readonly store: TrialStore;
  readonly keyring: Keyring = memoryKeyring();
  readonly #open: ClusterLog[] = [];
  readonly #drivers: SlotDriver[] = [];

  constructor(store: TrialStore) {
    this.store = store;
  }

  /** A log on a handle of its own. `wrap` puts faults between the two. */
  async log(
    options: Partial<LogOptions> & { wrap?: (driver: SlotDriver) => SlotDriver } = {},
  ): Promise<ClusterLog> {
    const { wrap = (driver: SlotDriver) => driver, ...rest } = options;
    const log = await openLog({
      driver: wrap(await this.store.connect()),
      keyring: this.keyring,
      world: realWorld,
      writer: 'trial',
      sink: silentLog,
      ...rest,
    });
    this.#open.push(log);
    return log;
  }

  /** `times`; on a slow store a third of it, but for a long run. */
  times(n: number): number {
    return this.store.isSlow === true ? seldom(Math.ceil(n / 3), n) : times(n);
  }

  async driver(): Promise<SlotDriver> {
    const driver = await this.store.connect();
    this.#drivers.push(driver);
    return driver;
  }

  async end(): Promise<void> {
    await Promise.all(this.#open.map((log) => log.close()));
    await Promise.all(this.#drivers.map((driver) => driver.close()));
    await this.store.dispose();
  }
}

export const causeAt = (at: string): Cause => ({ at, actor: 'user:trial', requestId: 'r1' });
export const cause: Cause = causeAt('2026-01-01T00:00:00.000Z');

export const happened = (n: number, text = ''): Fact => ({
  type: 'trial.happened',
  data: text === '' ? { n } : { n, text },
});

export const numberOf = (event: Recorded): number => (event.fact.data as { n: number }).n;

/** Appends one fact after the current content of `stream`. */
export async function add(log: EventLog, stream: StreamName, n: number, text = ''): Promise<Position> {
  const expected = await log.revision(stream);
  return log.append([{ stream, expected, facts: [happened(n, text)] }], cause);
}

/** A sink that keeps its lines. */
export function keepingSink(): LogSink & { readonly lines: string[] } {
  const lines: string[] = [];
  const keep = (message: string, fields?: Record<string, unknown>): void => {
    lines.push(`${message} ${JSON.stringify(fields ?? {})}`);
  };
  return { lines, debug: keep, info: keep, warn: keep, error: keep };
}

/** How many times a loop of the suite runs: raised for a long run with `LOG_TRIAL_FACTOR=10`. */
export const times = (n: number): number => Math.ceil(n * Number(process.env['LOG_TRIAL_FACTOR'] ?? 1));

/** How often a loop runs that takes long: `usually`, and `times(full)` in a long run. */
export const seldom = (usually: number, full: number): number => (times(1) > 1 ? times(full) : usually);
