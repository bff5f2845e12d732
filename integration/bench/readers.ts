/*
 * Many readers of the same snapshot on one simulated line: each sends its request, is told when to come
 * again, or gets slices as fast as the line takes them. What sockets cost by themselves is not in it.
 */
import { Writable } from 'node:stream';
import type { ServerResponse } from 'node:http';
import { pause } from '../../src/base/backoff.ts';
import { isCoded } from '../../src/base/errors.ts';
import { transfers } from '../../src/api/send-snapshot.ts';
import { snapshotBodies } from '../../src/api/snapshot-bodies.ts';
import type { ServedLogs } from '../../src/api/served-logs.ts';
import { storedView } from '../../src/views/open-views.ts';
import { recordedAt } from '../../src/views/testing.ts';
import { usersView } from '../../src/views/users.ts';
import { type Figure, took } from './bars.ts';
import { created } from './old-user.ts';

const bytesPerMs = 125_000;
const users = 10_000;
const socketBytes = 16 * 1024;

/** One line for all of them: what is sent waits until everything before it was sent. */
class Line {
  #freeAt = performance.now();

  take(bytes: number, sent: () => void): void {
    this.#freeAt = Math.max(this.#freeAt, performance.now()) + bytes / bytesPerMs;
    setTimeout(sent, this.#freeAt - performance.now());
  }
}

class Reader extends Writable {
  received = 0;
  readonly #line: Line;

  constructor(line: Line) {
    super({ highWaterMark: socketBytes });
    this.#line = line;
  }

  removeHeader(): void {
    this.received = 0;
  }
  writeHead(): void {
    this.received = 0;
  }
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#line.take(chunk.length, () => {
      this.received += chunk.length;
      done();
    });
  }
}

export async function measureReaders(readers: number): Promise<readonly Figure[]> {
  let state = usersView.initial;
  for (let n = 0; n < users; n++)
    state = usersView.apply(state, { ...recordedAt(n + 1, `user-u${n}`, created(`u${n}`)), revision: 1 });
  const view = { state: () => state, position: () => users };
  const bodies = snapshotBodies({
    log: {} as ServedLogs['log'],
    policy: { followers: () => [], visible: () => true, snapshotFor: (_who, _of, _name, all) => all },
    views: () => [storedView(usersView, view)],
  });
  const sending = transfers(() => performance.now());
  const line = new Line();
  const question = { who: 'Node', partition: 'state', projection: usersView.name, encoding: 'gzip' } as const;
  let [sentAway, bytes] = [0, 0];
  const open = async (): Promise<void> => {
    for (;;) {
      const body = await bodies.newest(question);
      if (body === undefined) throw new Error('bug: there is no snapshot');
      const reader = new Reader(line);
      const closed = new Promise((resolve) => reader.once('finish', resolve));
      try {
        sending.send(body, 0, reader as unknown as ServerResponse);
      } catch (e) {
        if (!isCoded(e, 'limit_exceeded')) throw e;
        sentAway++;
        await pause(e.retryAfterMs ?? 0);
        continue;
      }
      await closed;
      if (reader.received !== body.bytes.length) throw new Error('bug: a reader did not get all');
      bytes += reader.received;
      return;
    }
  };
  const before = process.memoryUsage.rss();
  let most = before;
  const looking = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss());
  }, 20);
  const all = await took(() => Promise.all(Array.from({ length: readers }, open)));
  clearInterval(looking);
  return [
    { what: 'who have it in the end', value: readers, unit: '' },
    { what: 'memory beside what was there before', value: (most - before) / 2 ** 20, unit: 'MiB', most: 200 },
    { what: 'bytes of each', value: bytes / readers, unit: 'B' },
    { what: 'all have it after', value: all.ms / 1e3, unit: 's' },
    { what: '... the line alone would take', value: bytes / bytesPerMs / 1e3, unit: 's' },
    { what: 'sent away, each', value: sentAway / readers, unit: '' },
    { what: 'CPU, each', value: all.cpuMs / readers, unit: 'ms' },
    { what: 'longest pause', value: all.pauseMs, unit: 'ms' },
  ];
}
