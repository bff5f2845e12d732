import { afterEach, describe, expect, it } from 'vitest';
import { openDirectoryObjects } from '../../backends/objects/dir.ts';
import { realWorld } from '../../src/base/world.ts';
import { earliest, hour, minute } from '../../src/base/time.ts';
import type { Partition } from '../../src/log/event.ts';
import { verifyLog } from '../../src/log/verify.ts';
import { percentile } from '../bench/measure.ts';
import { startEtcd } from '../harness/etcd-server.ts';
import { type DayFigures, type Month, type MonthOptions, simulateMonth } from '../simulator/month.ts';
import {
  archivePath,
  type MonthPlace,
  monthDriver,
  monthLog,
  newMonthDirectory,
  removeMonth,
} from '../simulator/month-store.ts';

/**
 * `MONTH_FACTOR=1`: thirty days of 200,000 logins, which takes some days; `make soak` plays out a part of the
 * logins, with all nodes. Without it: a short form of nine small days, which compares bytes and counts and
 * no times.
 */
const factor = Number(process.env['MONTH_FACTOR'] ?? 0);
const isLong = factor > 0;
const day = 24 * hour;
const quota = 2 * 1024 ** 3;

type Scale = Omit<MonthOptions, 'place' | 'days' | 'told'>;
const long: Scale = {
  ...{ loginsPerDay: Math.round(200_000 * factor), people: Math.max(20, Math.round(20_000 * factor)) },
  ...{ nodes: 10_000, beatMinutes: 10, turnover: 100, openEvery: 7 },
};
const short: Scale = {
  ...{ loginsPerDay: 24, people: 12, nodes: 20, beatMinutes: 2, turnover: 2 },
  ...{ stepsPerDay: 24, snapshotEvery: 50 },
};
const scale = isLong ? long : short;
/** Days that are compared with those before; what is kept in the store has been reached in the first. */
const days = isLong ? 30 : 9;
const span = isLong ? 7 : 3;

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function newPlace(store: 'directory' | 'etcd', retentionMs?: number): Promise<MonthPlace> {
  const etcd = store === 'etcd' ? await startEtcd(1, [`--quota-backend-bytes=${quota}`]) : undefined;
  if (etcd) closers.push(() => etcd.close());
  const times = { keptMs: day, retentionMs };
  const place: MonthPlace = {
    directory: newMonthDirectory(isLong ? 'on disk' : 'in memory'),
    etcd: etcd?.urls,
    times,
  };
  closers.push(() => {
    removeMonth(place);
  });
  return place;
}

const kib = (bytes: number): string => `${(bytes / 1024).toFixed(0)} KiB`;
const row = (f: DayFigures): string => {
  const ofEach = (Object.entries(f.partitions) as [Partition, DayFigures['partitions'][Partition]][]).map(
    ([name, p]) =>
      `${name} +${p.events} events +${kib(p.bytes)}, ${p.slots} slots (peak ${p.peakSlots}) ${kib(p.slotBytes)}, snapshots ${kib(p.snapshotBytes)}`,
  );
  const opened =
    f.opened === undefined
      ? ''
      : `; opened in ${f.opened.ms.toFixed(0)} ms (CPU ${f.opened.cpuMs.toFixed(0)} ms), ${kib(f.opened.bytes)} of memory, ${f.opened.nodes} nodes`;
  const lasts = f.outlook.status === 'lasts' ? `${f.outlook.days ?? 'no end of'} days` : f.outlook.status;
  return `day ${f.day}: store ${kib(f.storeBytes)} (used ${kib(f.storeUsed)}), lasts ${lasts}; archive ${f.segments} segments ${kib(f.archiveBytes)}; login p50 ${percentile(f.logins, 50).toFixed(1)} p99 ${percentile(f.logins, 99).toFixed(1)} ms${opened}; ${f.realSeconds.toFixed(0)} s\n    ${ofEach.join('\n    ')}`;
};
const told = (f: DayFigures): void => {
  if (isLong) console.log(row(f));
};

/** Spans of so many whole days after the first one; days that are left over do not count. */
function spansOf(month: Month, length = span): readonly (readonly DayFigures[])[] {
  const all: (readonly DayFigures[])[] = [];
  for (let from = length; from + length <= month.days.length; from += length)
    all.push(month.days.slice(from, from + length));
  return all;
}
const most = (some: readonly DayFigures[], of: (one: DayFigures) => number): number =>
  Math.max(...some.map(of));
const sum = (some: readonly DayFigures[], of: (one: DayFigures) => number): number =>
  some.reduce((all, one) => all + of(one), 0);

/** Each is at most `by` above that of the span before. */
function expectFlat(what: string, values: readonly number[], by = 0.15): void {
  for (const [i, value] of values.entries()) {
    const before = values[i - 1];
    if (before !== undefined)
      expect(value, `${what}: ${values.join(', ')}`).toBeLessThanOrEqual(before * (1 + by));
  }
}

/** What was warned of, but for a store that stood still with its machine. */
const warnings = (month: Month): readonly string[] =>
  month.warnings.filter(
    (one) => !/store does not answer|not heard from its store|Deadline exceeded/.test(one),
  );

/** What is wrong with the log, the archive included, and what it has of the logins. */
async function proved(place: MonthPlace): Promise<{
  readonly wrong: readonly unknown[];
  readonly firstSlot: number;
  readonly deletedUpTo: number;
  readonly logins: number;
}> {
  const [driver, archive] = [await monthDriver(place), await openDirectoryObjects(archivePath(place))];
  const { bad, findings, partitions } = await verifyLog(driver, { archive });
  await driver.close();
  await archive.close();
  const audit = partitions.find(({ partition }) => partition === 'audit');
  const log = await monthLog(place, realWorld, 'reads');
  let logins = 0;
  const types = new Map<string, number>();
  for await (const { fact } of log.audit.history(await log.audit.positionBefore(earliest)))
    if (isLogin(fact.data)) logins++;
  for await (const { fact } of log.state.history(0)) types.set(fact.type, (types.get(fact.type) ?? 0) + 1);
  await log.close();
  if (isLong) console.log('facts in state:', Object.fromEntries(types));
  const wrong = [...(bad ? [bad] : []), ...findings];
  return { wrong, firstSlot: audit?.firstSlot ?? 0, deletedUpTo: audit?.deletedUpTo ?? 0, logins };
}

const isLogin = (data: unknown): boolean =>
  (data as { readonly event?: { readonly event?: unknown } }).event?.event === 'user.login';

const timeoutMs = isLong ? 48 * hour : minute;

describe.each(isLong ? (['etcd', 'directory'] as const) : (['directory'] as const))(
  `a month of logins on %s, ${isLong ? `times ${factor}` : 'in short'}`,
  (store) => {
    it('costs the store no more with its age', { timeout: timeoutMs }, async () => {
      const place = await newPlace(store);
      const month = await simulateMonth({ ...scale, place, days, told });
      const spans = spansOf(month);
      expect(spans.length).toBeGreaterThanOrEqual(2);
      expect(warnings(month)).toEqual([]);

      expectFlat(
        'bytes of the store',
        spans.map((some) => most(some, ({ storeBytes }) => storeBytes)),
      );
      for (const name of ['audit', 'attempts', 'presence'] as const)
        expectFlat(
          `slots of ${name}`,
          spans.map((some) => most(some, ({ partitions }) => partitions[name].peakSlots)),
        );
      for (const name of ['state', 'audit', 'attempts', 'presence'] as const)
        expectFlat(
          `bytes of a day in ${name}`,
          spans.map((some) => sum(some, ({ partitions }) => partitions[name].bytes)),
        );
      // Of a login nothing stays in `state`: machines that come and go, and what is said of the archive.
      expectFlat(
        'events of state',
        spans.map((some) => sum(some, (f) => f.partitions.state.events)),
      );
      expect(most(month.days.slice(1), ({ partitions }) => partitions.state.events)).toBeLessThan(
        5 * scale.turnover + 50,
      );
      const grown = spans.map((some) => (some.at(-1)?.archiveBytes ?? 0) - (some[0]?.archiveBytes ?? 0));
      expect(Math.min(...grown)).toBeGreaterThan(0.85 * Math.max(...grown));

      const last = month.days.at(-1);
      // By the growth of a day, of which the audit is no part any more.
      expect(last?.outlook).toMatchObject({ status: 'lasts' });
      if (last?.outlook.status === 'lasts') {
        expect(last.outlook.of).toBe(store === 'etcd' ? 'quota' : 'disk');
        expect(last.outlook.bytesPerDay).toBeLessThan(1.5 * last.partitions.state.bytes + 1);
        expect(last.outlook.days ?? Infinity).toBeGreaterThan(365);
      }
      if (isLong) {
        const took = spans.map((some) => some.flatMap((f) => f.logins));
        expectFlat(
          'half of the logins',
          took.map((all) => percentile(all, 50)),
          1,
        );
        // fsync of one machine differs five-fold from one minute to another.
        expectFlat(
          'p99 of a login',
          took.map((all) => percentile(all, 99)),
          4,
        );
        const opened = month.days.flatMap(({ opened: one }) => one ?? []).slice(1);
        expectFlat(
          'ms of opening',
          opened.map(({ cpuMs }) => cpuMs),
          1,
        );
        expectFlat(
          'memory after opening',
          opened.map(({ bytes }) => bytes),
        );
      }

      const found = await proved(place);
      expect(found).toEqual({ wrong: [], firstSlot: 1, deletedUpTo: 0, logins: days * scale.loginsPerDay });
    });

    it('keeps the archive as long as is said, and no longer', { timeout: timeoutMs }, async () => {
      const place = await newPlace(store, 3 * day);
      const fewer = { ...scale, ...(isLong ? { nodes: 1_000, turnover: 10 } : {}), openEvery: undefined };
      const month = await simulateMonth({ ...fewer, place, days: isLong ? 12 : 9, told });
      expect(warnings(month)).toEqual([]);
      const spans = spansOf(month, isLong ? 4 : 3);
      // Segments are of six hours, and go whole.
      expectFlat(
        'bytes of the archive',
        spans.map((some) => most(some, (f) => f.archiveBytes)),
        0.2,
      );
      expectFlat(
        'segments',
        spans.map((some) => most(some, ({ segments }) => segments)),
        0.2,
      );
      const found = await proved(place);
      expect(found.wrong).toEqual([]);
      expect(found.firstSlot).toBe(found.deletedUpTo + 1);
      expect(found.deletedUpTo).toBeGreaterThan(0);
      expect(found.logins).toBeGreaterThanOrEqual(3 * scale.loginsPerDay);
      expect(found.logins).toBeLessThan(5.5 * scale.loginsPerDay);
    });
  },
);
