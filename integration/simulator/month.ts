import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { hour, minute, plusMs } from '../../src/base/time.ts';
import { realWorld, type World } from '../../src/base/world.ts';
import { type Partition, partitions } from '../../src/log/event.ts';
import { type Outlook, outlookOf } from '../../src/log/growth.ts';
import type { SlotDriver } from '../../src/log/slot-driver.ts';
import { createPeople, logInOnce } from './month-people.ts';
import { type Nodes, startNodes } from './month-nodes.ts';
import { type MonthClock, type MonthServer, startMonthServer } from './month-server.ts';
import { archiveFiles, type MonthPlace, monthDriver, storeBytes } from './month-store.ts';
import type { Opened } from './open-month.ts';

/** How much happens. */
export interface MonthOptions {
  readonly place: MonthPlace;
  readonly days: number;
  readonly loginsPerDay: number;
  readonly people: number;
  readonly nodes: number;
  /** So many minutes of each day all nodes send their signs of life. */
  readonly beatMinutes: number;
  /** So many machines join each day, and as many go. */
  readonly turnover: number;
  /** Into so many parts a day is cut, after each of which a server looks after itself. Default 288. */
  readonly stepsPerDay?: number | undefined;
  /** After how many events a snapshot is due; default: as in a running server. */
  readonly snapshotEvery?: number | undefined;
  /** Opened by a process of its own after every so many days. Default: never. */
  readonly openEvery?: number | undefined;
  readonly told?: (figures: DayFigures) => void;
}

/** One partition at the end of a day. */
export interface PartitionFigures {
  /** Events and bytes that were appended on this day. */
  readonly events: number;
  readonly bytes: number;
  /** What the store has of it. */
  readonly slots: number;
  /** The most that it had of it in an hour of this day. */
  readonly peakSlots: number;
  readonly slotBytes: number;
  readonly snapshotBytes: number;
}

export interface DayFigures {
  /** From 1. */
  readonly day: number;
  readonly partitions: Readonly<Record<Partition, PartitionFigures>>;
  /** On disk. */
  readonly storeBytes: number;
  readonly storeUsed: number;
  readonly archiveBytes: number;
  readonly segments: number;
  /** Milliseconds of each login. */
  readonly logins: readonly number[];
  readonly opened: Opened | undefined;
  /** What `tctl status` would say. */
  readonly outlook: Outlook;
  readonly nodes: number;
  readonly realSeconds: number;
}

export interface Month {
  readonly days: readonly DayFigures[];
  /** The simulated time at the end. */
  readonly until: string;
  readonly warnings: readonly string[];
}

const day = 24 * hour;
/** Every five minutes: as often as a running server asks for its archive. */
const usualStepsPerDay = 288;

function newClock(): MonthClock {
  const began = Date.now();
  let passed = 0;
  const world: World = {
    ...realWorld,
    now: () => new Date(began + passed).toISOString(),
    monotonic: () => passed,
  };
  return {
    world,
    elapsed: () => passed,
    moveTo: (elapsed) => {
      passed = Math.max(passed, elapsed);
    },
  };
}

/**
 * Days of a cluster with the rules, the writers, the log and the store of the real thing; only the clock is
 * ours, and nothing travels over sockets. Logins come evenly, one after the other, each told to the audit
 * before the next: as it is where they are rare for the store. Signs of life are played out for some minutes
 * of each day.
 */
export async function simulateMonth(options: MonthOptions): Promise<Month> {
  const { place, days, people, nodes: count, openEvery, told = () => undefined } = options;
  const clock = newClock();
  const server = await startMonthServer({ ...options, world: clock.world });
  const driver = await monthDriver(place);
  const found: DayFigures[] = [];
  try {
    await createPeople(server.deps, people);
    const nodes = await startNodes(server, clock, count);
    for (let n = 1; n <= days; n++) {
      const began = performance.now();
      const before = countsOf(server);
      const peaks = new Peaks(driver);
      const logins = await playDay(n, { ...options, server, clock, nodes, peaks });
      const opened =
        openEvery !== undefined && n % openEvery === 0
          ? await openElsewhere(place, clock.world.now())
          : undefined;
      const figures = {
        ...{ day: n, logins, opened, nodes: nodes.alive() },
        ...(await sizesOf({ place, driver, server, before, peaks })),
        realSeconds: (performance.now() - began) / 1_000,
      };
      found.push(figures);
      told(figures);
    }
    return { days: found, until: clock.world.now(), warnings: server.warnings };
  } finally {
    await driver.close();
    await server.close();
  }
}

interface Day extends Omit<MonthOptions, 'nodes'> {
  readonly server: MonthServer;
  readonly clock: MonthClock;
  readonly nodes: Nodes;
  readonly peaks: Peaks;
}

/** How many slots the store had at most. */
class Peaks {
  readonly #driver: Pick<SlotDriver, 'bounds'>;
  readonly #most = new Map<Partition, number>();

  constructor(driver: Pick<SlotDriver, 'bounds'>) {
    this.#driver = driver;
  }

  async look(): Promise<void> {
    for (const partition of partitions) {
      const { floor, head } = await this.#driver.bounds(partition);
      this.#most.set(partition, Math.max(this.of(partition), head - floor + 1));
    }
  }

  of(partition: Partition): number {
    return this.#most.get(partition) ?? 0;
  }
}

/** @returns milliseconds of each login. */
async function playDay(
  n: number,
  { server, clock, nodes, peaks, loginsPerDay, people, beatMinutes, turnover, ...rest }: Day,
): Promise<number[]> {
  const { stepsPerDay = usualStepsPerDay } = rest;
  const stepMs = day / stepsPerDay;
  const began = (n - 1) * day;
  const took: number[] = [];
  for (let step = 0; step < stepsPerDay; step++) {
    const from = began + step * stepMs;
    clock.moveTo(from);
    if (step === stepsPerDay / 2) {
      await nodes.beatFor(beatMinutes);
      await nodes.turnOver(turnover);
    }
    const until = Math.round((loginsPerDay * (step + 1)) / stepsPerDay);
    const many = until - took.length;
    for (let i = 0; i < many; i++) {
      clock.moveTo(from + Math.floor((stepMs * i) / many));
      took.push(await logInOnce(server.deps, (n - 1) * loginsPerDay + took.length, people));
    }
    await server.tend();
    if ((step * stepMs) % hour !== 0) continue;
    await server.tendHourly();
    await peaks.look();
  }
  return took;
}

const countsOf = ({ log }: MonthServer) => {
  const stats = log.stats();
  return (partition: Partition) => stats[partition];
};

async function sizesOf({
  place,
  driver,
  server,
  before,
  peaks,
}: {
  readonly place: MonthPlace;
  readonly driver: SlotDriver;
  readonly server: MonthServer;
  readonly before: ReturnType<typeof countsOf>;
  readonly peaks: Peaks;
}): Promise<
  Pick<DayFigures, 'partitions' | 'storeBytes' | 'storeUsed' | 'archiveBytes' | 'segments' | 'outlook'>
> {
  const after = countsOf(server);
  const all: Partial<Record<Partition, PartitionFigures>> = {};
  for (const partition of partitions) {
    let [slots, slotBytes, snapshotBytes] = [0, 0, 0];
    for await (const { batch } of driver.read(partition, 1)) {
      slots++;
      slotBytes += batch.length;
    }
    for (const key of await driver.snapshots.list(partition))
      snapshotBytes += (await driver.snapshots.get(key))?.length ?? 0;
    all[partition] = {
      events: after(partition).events - before(partition).events,
      bytes: after(partition).bytes - before(partition).bytes,
      ...{ slots, slotBytes, snapshotBytes, peakSlots: peaks.of(partition) },
    };
  }
  const { bytes, used } = await storeBytes(place);
  const files = archiveFiles(place);
  const kept = await Promise.all((['state', 'audit'] as const).map((name) => server.log.growth(name)));
  return {
    partitions: all as Record<Partition, PartitionFigures>,
    ...{ storeBytes: bytes, storeUsed: used, segments: files.length },
    archiveBytes: files.reduce((sum, one) => sum + one.bytes, 0),
    outlook: outlookOf(server.log.store().room, kept),
  };
}

/** By a process that knows nothing yet. */
async function openElsewhere(place: MonthPlace, now: string): Promise<Opened> {
  const args = [
    '--expose-gc',
    '--disable-warning=ExperimentalWarning',
    'integration/simulator/open-month.ts',
  ];
  const child = spawn(process.execPath, [...args, JSON.stringify({ place, now: plusMs(now, minute) })], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (data: Buffer) => (said += data.toString()));
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error('the log could not be opened by another process');
  return JSON.parse(said) as Opened;
}
