import type { LogSink } from '../base/log-sink.ts';
import type { Metrics } from '../base/service.ts';
import type { World } from '../base/world.ts';
import type { CallerLimits } from './server-deps.ts';

/** Time stands still until a test moves it; random bytes and ids count upwards. */
export interface FakeWorld extends World {
  /** Lets time pass. */
  advance(ms: number): void;
  /** Sets the clock by this much, without time passing. */
  setClock(byMs: number): void;
}

export function fakeWorld(start = '2026-01-01T00:00:00.000Z'): FakeWorld {
  let now = Date.parse(start);
  let passed = 0;
  let counter = 0;
  return {
    now: () => new Date(now).toISOString(),
    monotonic: () => passed,
    randomBytes: (n) => {
      const bytes = Buffer.alloc(n);
      counter++;
      if (n >= 4) bytes.writeUInt32BE(counter, n - 4);
      else bytes.fill(0);
      return bytes;
    },
    uuid: () => `00000000-0000-4000-8000-${(++counter).toString(16).padStart(12, '0')}`,
    advance: (ms) => {
      now += ms;
      passed += ms;
    },
    setClock: (byMs) => {
      now += byMs;
    },
  };
}

/** Keeps what was logged, as `level message {fields}`. */
export function recordingSink(): LogSink & { readonly lines: string[] } {
  const lines: string[] = [];
  const at =
    (level: string) =>
    (message: string, fields?: Record<string, unknown>): void => {
      lines.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`);
    };
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** Sums what was added, by name and labels. */
export function recordingMetrics(): Metrics & {
  readonly counters: Map<string, number>;
  readonly gauges: Map<string, number>;
} {
  const [counters, gauges] = [new Map<string, number>(), new Map<string, number>()];
  const keyOf = (name: string, labels?: object): string => `${name}${labels ? JSON.stringify(labels) : ''}`;
  return {
    ...{ counters, gauges },
    add: (name, value, labels) => {
      const key = keyOf(name, labels);
      counters.set(key, (counters.get(key) ?? 0) + value);
    },
    set: (name, value, labels) => {
      gauges.set(keyOf(name, labels), value);
    },
    observe: () => undefined,
  };
}

/** Every caller may call anything. */
export const noLimits: CallerLimits = { call: () => undefined, follow: () => () => undefined };
