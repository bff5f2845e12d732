import { describe, expect, it } from 'vitest';
import { MetricsRegistry } from './metrics.ts';

describe('rendering metrics', () => {
  it('adds up counters by their labels, whatever the order', () => {
    const metrics = new MetricsRegistry();
    metrics.add('a_total', 1, { x: '1', y: '2' });
    metrics.add('a_total', 2, { y: '2', x: '1' });
    expect(metrics.render()).toBe('# TYPE a_total counter\na_total{x="1",y="2"} 3\n');
  });
  it('takes a counter that is kept elsewhere as it stands, and calls it a counter', () => {
    const metrics = new MetricsRegistry();
    metrics.setCounter('c_total', 3);
    metrics.setCounter('c_total', 5);
    expect(metrics.render()).toBe('# TYPE c_total counter\nc_total 5\n');
    // @ts-expect-error only counters end so
    metrics.set('c_total', 1);
  });
  it('escapes what would break a line', () => {
    const metrics = new MetricsRegistry();
    metrics.set('g', 1, { x: 'a"b\\c\nd' });
    expect(metrics.render()).toContain('g{x="a\\"b\\\\c\\nd"} 1\n');
  });
  it('counts a duration in every bucket that holds it', () => {
    const metrics = new MetricsRegistry();
    metrics.observe('s', 0.3);
    const text = metrics.render();
    expect(text).toContain('s_bucket{le="0.25"} 0\n');
    expect(text).toContain('s_bucket{le="0.5"} 1\n');
    expect(text).toContain('s_bucket{le="+Inf"} 1\n');
    expect(text).toContain('s_sum 0.3\ns_count 1\n');
  });
  it('asks for gauges when they are rendered', () => {
    const metrics = new MetricsRegistry();
    metrics.onRender(() => {
      metrics.set('now', 7);
    });
    expect(metrics.render()).toContain('now 7\n');
  });
});
