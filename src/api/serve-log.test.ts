import { EventEmitter } from 'node:events';
import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { expect, it } from 'vitest';
import { silentLog } from '../base/log-sink.ts';
import { addLogRoutes } from './serve-log.ts';
import type { ServedLogs } from './served-logs.ts';
import type { ServerDeps, ServerEnv } from './server-deps.ts';
import { fakeWorld, recordingMetrics } from './testing.ts';

/** The answer to somebody whose connection ended before it began: nothing is told of that any more. */
class GoneOutgoing extends EventEmitter {
  readonly destroyed = true;
  ended = false;
  removeHeader(): void {
    // It has none.
  }
  writeHead(): void {
    // Nobody reads it.
  }
  write(): boolean {
    return false;
  }
  end(): void {
    this.ended = true;
  }
}

it('ends a follower who went away while the log was asked, and keeps nothing of it', async () => {
  let held = 0;
  let followed = 0;
  const tail = {
    head: () => 0,
    at: () => undefined,
    hold: () => {
      held++;
      return () => held--;
    },
    changed: () => new Promise<void>(() => undefined),
    failure: () => undefined,
    era: () => 0,
  };
  const logs = {
    log: { state: { head: () => Promise.resolve(0), holds: () => Promise.resolve(true) } },
    tails: { state: tail },
    policy: { followers: () => ['Node'], visible: () => true, snapshotFor: () => undefined },
    keepAliveMs: 1_000,
    stopping: new AbortController().signal,
  } as unknown as ServedLogs;
  const deps: ServerDeps = {
    callerOf: () => ({ kind: 'host', hostId: 'a', role: 'Node', address: '' }),
    limits: {
      call: () => undefined,
      follow: () => {
        followed++;
        return () => {
          followed--;
        };
      },
    },
    world: fakeWorld(),
    sink: silentLog,
    metrics: recordingMetrics(),
  };
  const app = new Hono<ServerEnv>();
  addLogRoutes(app, logs, deps);
  const outgoing = new GoneOutgoing();
  const env = { incoming: { socket: {} }, outgoing } as unknown as HttpBindings;
  await app.request('/v3/log/state?after=0', {}, env);
  await new Promise((resolve) => setImmediate(resolve));
  expect({ held, followed, ended: outgoing.ended }).toEqual({ held: 0, followed: 0, ended: true });
});
