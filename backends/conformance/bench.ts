import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { DatabaseSync } from 'node:sqlite';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import { sharedTestKeyring } from '../../src/log/keyring.ts';
import { openLog } from '../../src/log/open-log.ts';
import { openDirectoryDriver } from '../dir/open.ts';

export interface LogFigures {
  readonly appendsPerSecond: number;
  /** The same batches, inserted by SQLite alone, one transaction each, with the same durability. */
  readonly rawAppendsPerSecond: number;
  readonly appendsPerBatch: number;
  /** From the store, through the log, to a reader. */
  readonly replaysPerSecond: number;
  /** The same batches, only read. */
  readonly rawReplaysPerSecond: number;
  readonly bytesPerEvent: number;
}

const callers = 256;

/** Appends events of about 300 B from 256 callers, each waiting for its result, and reads them all. */
export async function measureLog(events = 20_000): Promise<LogFigures> {
  const path = mkdtempSync(join(tmpdir(), 'log-bench-'));
  try {
    const appended = await appendAll(path, events);
    const replayed = await replayAll(path);
    const raw = rawFigures(path);
    return {
      appendsPerSecond: appended.count / appended.seconds,
      rawAppendsPerSecond: appended.count / raw.insertSeconds,
      appendsPerBatch: appended.count / raw.slots,
      replaysPerSecond: appended.count / replayed,
      rawReplaysPerSecond: appended.count / raw.readSeconds,
      bytesPerEvent: raw.bytes / appended.count,
    };
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

/** Prints the figures, each beside the raw store of the same run. */
export async function printLogFigures(events?: number): Promise<void> {
  const figures = await measureLog(events);
  const line = (what: string, ours: number, raw: number): void => {
    const ratio = (ours / raw).toFixed(2);
    console.log(
      `${what.padEnd(32)} log ${Math.round(ours)}/s  raw sqlite ${Math.round(raw)}/s  ratio ${ratio}`,
    );
  };
  line(`appends, ${callers} callers`, figures.appendsPerSecond, figures.rawAppendsPerSecond);
  line('replay of events', figures.replaysPerSecond, figures.rawReplaysPerSecond);
  console.log(
    `${''.padEnd(32)} ${figures.appendsPerBatch.toFixed(1)} appends in a batch, ${Math.round(figures.bytesPerEvent)} B an event`,
  );
}

const open = async (path: string): ReturnType<typeof openLog> =>
  openLog({
    driver: await openDirectoryDriver({ path }),
    keyring: sharedTestKeyring,
    world: realWorld,
    writer: 'bench',
    sink: silentLog,
  });

async function appendAll(path: string, events: number): Promise<{ count: number; seconds: number }> {
  const log = await open(path);
  const each = Math.ceil(events / callers);
  const cause = { at: realWorld.now(), actor: 'user:bench', requestId: realWorld.uuid() };
  const began = performance.now();
  await Promise.all(
    Array.from({ length: callers }, async (_, i) => {
      for (let n = 0; n < each; n++) {
        const facts = [{ type: 'bench.happened', data: { n, text: 'x'.repeat(80) } }];
        await log.state.append([{ stream: `bench-${i}`, expected: n, facts }], cause);
      }
    }),
  );
  const seconds = (performance.now() - began) / 1000;
  await log.close();
  return { count: each * callers, seconds };
}

async function replayAll(path: string): Promise<number> {
  const log = await open(path);
  // Opening folds every batch once; this is the second reading, as a view does it.
  const began = performance.now();
  let last = 0;
  for await (const { position } of log.state.history(0)) last = position;
  const seconds = (performance.now() - began) / 1000;
  if (last !== (await log.state.head())) throw new Error('the replay did not reach the head');
  await log.close();
  return seconds;
}

function rawFigures(path: string): {
  slots: number;
  bytes: number;
  readSeconds: number;
  insertSeconds: number;
} {
  const db = new DatabaseSync(join(path, 'log.db'));
  const reading = performance.now();
  const batches = db
    .prepare('SELECT batch FROM state_slots ORDER BY slot')
    .all()
    .map((row) => row['batch'] as Uint8Array);
  const readSeconds = (performance.now() - reading) / 1000;
  db.close();

  const raw = new DatabaseSync(join(path, 'raw.db'));
  raw.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE slots (slot INTEGER PRIMARY KEY, batch BLOB)',
  );
  const insert = raw.prepare('INSERT INTO slots VALUES (?, ?)');
  const inserting = performance.now();
  batches.forEach((batch, i) => insert.run(i + 1, batch));
  const insertSeconds = (performance.now() - inserting) / 1000;
  raw.close();
  const bytes = batches.reduce((sum, batch) => sum + batch.length, 0);
  return { slots: batches.length, bytes, readSeconds, insertSeconds };
}
