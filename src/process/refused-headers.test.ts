import { describe, expect, it } from 'vitest';
import { recordingMetrics, recordingSink } from '../api/testing.ts';
import { RefusedHeaders } from './refused-headers.ts';

describe('connections that are refused by their header', () => {
  it('are counted each, and the log names one a minute, with what to do', () => {
    const [sink, metrics] = [recordingSink(), recordingMetrics()];
    let now = 0;
    const refused = new RefusedHeaders({ sink, metrics, monotonic: () => now });
    const socket = { remoteAddress: '192.0.2.1', remotePort: 5 };
    refused.count('auth', 'missing', socket);
    now = 59_999;
    refused.count('proxy:web', 'unexpected', socket);
    expect(sink.lines).toHaveLength(1);
    expect(sink.lines[0]).toContain('192.0.2.1:5');
    expect(sink.lines[0]).toContain('make the balancer send the header');
    now = 60_000;
    refused.count('proxy:web', 'unexpected', {});
    expect(sink.lines).toHaveLength(2);
    expect(sink.lines[1]).toContain('"refusedSoFar":3');
    expect([...metrics.counters]).toEqual([
      ['proxy_protocol_refused_total{"listener":"auth","reason":"missing"}', 1],
      ['proxy_protocol_refused_total{"listener":"proxy:web","reason":"unexpected"}', 2],
    ]);
  });
});
