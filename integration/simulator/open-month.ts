/*
 * Opens the log of a simulated month as an auth server does that starts, in a process of its own, and prints
 * what that cost: `node --expose-gc integration/simulator/open-month.ts '{"place":…,"now":…}'`
 */
import { openAuthViews } from '../../src/auth/auth-views.ts';
import { realWorld, type World } from '../../src/base/world.ts';
import { allHosts } from '../../src/views/hosts.ts';
import { type MonthPlace, monthLog } from './month-store.ts';

/** What a fresh process finds. */
export interface Opened {
  readonly ms: number;
  readonly cpuMs: number;
  /** After a garbage collection, beyond what it had before: heap, buffers. */
  readonly bytes: number;
  readonly nodes: number;
}

/** Bytes that are in use. */
function memory(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function open(place: MonthPlace, now: string): Promise<Opened> {
  const world: World = { ...realWorld, now: () => now };
  const before = memory();
  const [began, cpu] = [performance.now(), process.cpuUsage()];
  const log = await monthLog(place, world, 'opens');
  const views = await openAuthViews(log, { now: () => now, monotonic: () => Date.parse(now) });
  await Promise.all([views.fresh(), views.freshAttempts()]);
  await views.presence.reached(await log.presence.head());
  await log.audit.head();
  const ms = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  const bytes = memory() - before;
  const nodes = allHosts(views.hosts.state(), ['Node']).length;
  views.close();
  await log.close();
  return { ms, cpuMs: (user + system) / 1_000, bytes, nodes };
}

const { place, now } = JSON.parse(process.argv[2] ?? '') as { place: MonthPlace; now: string };
console.log(JSON.stringify(await open(place, now)));
