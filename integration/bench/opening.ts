import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import type { ClusterLog } from '../../src/log/event-log.ts';
import type { Cause } from '../../src/log/event.ts';
import { sharedTestKeyring } from '../../src/log/keyring.ts';
import { openLog } from '../../src/log/open-log.ts';
import type { SlotDriver } from '../../src/log/slot-driver.ts';

const cause = (): Cause => ({ at: realWorld.now(), actor: 'user:bench', requestId: realWorld.uuid() });
const factsInAppend = 500;
const streams = 1_000;

const open = (driver: SlotDriver): Promise<ClusterLog> =>
  openLog({ driver, keyring: sharedTestKeyring, world: realWorld, writer: 'bench', sink: silentLog });

/** Writes `events` events of about 300 B over a thousand streams, as a long life of a cluster does. */
export async function fill(driver: SlotDriver, events: number): Promise<void> {
  const log = await open(driver);
  const revisions = new Map<string, number>();
  const append = async (n: number): Promise<void> => {
    const stream = `bench-${n % streams}` as const;
    const expected = revisions.get(stream) ?? 0;
    const count = Math.min(factsInAppend, events - n * factsInAppend);
    revisions.set(stream, expected + count);
    const facts = Array.from({ length: count }, (_, i) => ({
      type: 'bench.happened',
      data: { n: expected + i, text: 'x'.repeat(80) },
    }));
    await log.state.append([{ stream, expected, facts }], cause());
  };
  for (let n = 0; n * factsInAppend < events; n++) await append(n);
  await log.close();
}

/** Keeps a snapshot at the head. */
export async function keepSnapshot(driver: SlotDriver): Promise<void> {
  const log = await open(driver);
  const position = await log.state.head();
  const state = Object.fromEntries(Array.from({ length: streams }, (_, i) => [`bench-${i}`, { n: i }]));
  await log.takeSnapshot('state', [{ name: 'bench', position, state }], { trim: false }, cause());
  await log.close();
}

export interface Opened {
  readonly seconds: number;
  readonly position: number;
  /** Resident memory of the process at its highest, MiB. */
  readonly peakMiB: number;
}

/**
 * Opens the log in a process of its own, `mode` `follow` also delivers every event to a follower that began
 * at 0. `program` is a module that exports `connect(): Promise<SlotDriver>`, `argument` is given to it.
 */
export async function openInProcess(
  program: string,
  argument: string,
  mode: 'open' | 'follow',
): Promise<Opened> {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', import.meta.filename, mode, program, argument],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let text = '';
  child.stdout.on('data', (data: Buffer) => {
    text += data.toString();
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`opening the log in a process of its own failed with ${String(code)}`);
  return JSON.parse(text) as Opened;
}

async function main([mode = '', program = '', argument = '']: readonly string[]): Promise<void> {
  const { connect } = (await import(program)) as { connect: (argument: string) => Promise<SlotDriver> };
  const driver = await connect(argument);
  const began = performance.now();
  const log = await open(driver);
  const position = await log.state.head();
  let seconds = (performance.now() - began) / 1000;
  if (mode === 'follow') {
    await new Promise<void>((resolve, reject) => {
      const following = log.state.follow(0).subscribe({
        next: (one) => {
          if (one.position < position) return;
          following.unsubscribe();
          resolve();
        },
        error: reject,
      });
    });
    seconds = (performance.now() - began) / 1000;
  }
  await log.close();
  const peakMiB = process.resourceUsage().maxRSS / 1024;
  process.stdout.write(JSON.stringify({ seconds, position, peakMiB } satisfies Opened));
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2));
