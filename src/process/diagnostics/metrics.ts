import type { CounterName, Metrics } from '../../base/service.ts';

const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

interface Histogram {
  readonly counts: number[];
  sum: number;
  total: number;
}

/**
 * Counters, gauges and histograms; `render` returns Prometheus text. `gauges` are read when it is requested.
 */
export class MetricsRegistry implements Metrics {
  readonly #counters = new Map<string, Map<string, number>>();
  readonly #gauges = new Map<string, Map<string, number>>();
  readonly #histograms = new Map<string, Map<string, Histogram>>();
  readonly #sources: (() => void)[] = [];

  add(name: CounterName, value: number, labels: Record<string, string> = {}): void {
    const rows = rowsOf(this.#counters, name);
    const key = labelText(labels);
    rows.set(key, (rows.get(key) ?? 0) + value);
  }

  /** A counter that is maintained elsewhere, from its beginning. */
  setCounter(name: CounterName, value: number): void {
    rowsOf(this.#counters, name).set(labelText({}), value);
  }

  set<Name extends string>(
    name: Name extends CounterName ? never : Name,
    value: number,
    labels: Record<string, string> = {},
  ): void {
    rowsOf(this.#gauges, name).set(labelText(labels), value);
  }

  observe(name: string, seconds: number, labels: Record<string, string> = {}): void {
    const rows = rowsOf(this.#histograms, name);
    const key = labelText(labels);
    const histogram = rows.get(key) ?? { counts: buckets.map(() => 0), sum: 0, total: 0 };
    for (const [i, limit] of buckets.entries())
      if (seconds <= limit) histogram.counts[i] = (histogram.counts[i] ?? 0) + 1;
    histogram.sum += seconds;
    histogram.total += 1;
    rows.set(key, histogram);
  }

  /** `source` sets gauges just before they are rendered. */
  onRender(source: () => void): void {
    this.#sources.push(source);
  }

  /** Prometheus text format, version 0.0.4. */
  render(): string {
    for (const source of this.#sources) source();
    const out: string[] = [];
    for (const [type, families] of [
      ['counter', this.#counters],
      ['gauge', this.#gauges],
    ] as const)
      for (const [name, rows] of families) {
        out.push(`# TYPE ${name} ${type}`);
        for (const [labels, value] of rows) out.push(`${name}${braces(labels)} ${value}`);
      }
    for (const [name, rows] of this.#histograms) {
      out.push(`# TYPE ${name} histogram`);
      for (const [labels, h] of rows) {
        for (const [i, limit] of buckets.entries())
          out.push(`${name}_bucket${braces(join(labels, `le="${limit}"`))} ${h.counts[i] ?? 0}`);
        out.push(`${name}_bucket${braces(join(labels, 'le="+Inf"'))} ${h.total}`);
        out.push(`${name}_sum${braces(labels)} ${h.sum}`, `${name}_count${braces(labels)} ${h.total}`);
      }
    }
    return `${out.join('\n')}\n`;
  }
}

function rowsOf<T>(families: Map<string, Map<string, T>>, name: string): Map<string, T> {
  const rows = families.get(name) ?? new Map<string, T>();
  families.set(name, rows);
  return rows;
}

const braces = (labels: string): string => (labels === '' ? '' : `{${labels}}`);
const join = (a: string, b: string): string => (a === '' ? b : `${a},${b}`);
const labelText = (labels: Record<string, string>): string =>
  Object.entries(labels)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}="${value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`))}"`)
    .join(',');
