import { describe, expect, it } from 'vitest';
import { sameHost } from './host.ts';
import type { HostInfo } from './host-info.ts';
import { utf8Bytes } from './label-limits.ts';
import { labelsNow, measuredLabels, setLabels } from './measured-labels.ts';
import { appendsOf, presence, type Renewal } from './presence.ts';

const host = (labels: Record<string, string>, measured?: string[]): HostInfo => ({
  hostId: '00000000-0000-4000-8000-000000000001',
  role: 'Node',
  nodename: 'node1',
  reachability: { status: 'direct', address: '192.0.2.1:3022' },
  publicAddress: '',
  sshPublicAddress: '',
  labels,
  version: '4.5.0',
  ...(measured && { measured }),
});

describe('the labels of a host', () => {
  const one = host({ env: 'dev', load: '1' }, ['load', 'absent']);

  it('are told apart by what measures them', () => {
    expect({ ...setLabels(one) }).toEqual({ env: 'dev' });
    expect({ ...measuredLabels(one) }).toEqual({ load: '1' });
    expect(measuredLabels(host({ env: 'dev' }))).toBeUndefined();
    expect(measuredLabels(host({ env: 'dev' }, ['absent']))).toBeUndefined();
  });
  it('are those of membership, with what presence has of the measured ones', () => {
    expect({ ...labelsNow(one, { load: '2', env: 'prod' }) }).toEqual({ env: 'dev', load: '2' });
    expect(labelsNow(one, undefined)).toBe(one.labels);
    expect(labelsNow(host({ env: 'dev' }), { env: 'prod' })).toEqual({ env: 'dev' });
    expect({ ...labelsNow(host({ toString: '1' }, ['toString']), {}) }).toEqual({ toString: '1' });
  });
  it('say the same while only what is measured differs', () => {
    expect(sameHost(one, { ...one, labels: { load: '9', env: 'dev' } })).toBe(true);
    expect(sameHost(one, { ...one, labels: { load: '1', env: 'prod' } })).toBe(false);
    expect(sameHost(one, host(one.labels))).toBe(false);
    expect(sameHost(host({ env: 'dev' }), host({ env: 'dev' }, []))).toBe(true);
    expect(sameHost(one, { ...one, measured: ['absent', 'load'] })).toBe(true);
  });
});

describe('renewals with labels', () => {
  it('are cut so that every event and every append fits any store, however large the labels are', () => {
    const hosts = Array.from({ length: 300 }, (_, n): Renewal => ({
      hostId: `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`,
      role: 'Node',
      seenAt: '2026-01-01T00:00:00.000Z',
      ttlSeconds: 600,
      ...(n % 3 === 0 && { labels: { quoted: '"'.repeat((n * 55) % (16 * 1024)) } }),
    }));
    const facts = presence.decide(null, { type: 'renew-hosts', hosts });
    expect(facts.flatMap(({ data }) => data.hosts)).toEqual(hosts);
    for (const one of facts) expect(utf8Bytes(JSON.stringify(one))).toBeLessThan(64 * 1024);
    for (const some of appendsOf(facts)) expect(utf8Bytes(JSON.stringify(some))).toBeLessThan(256 * 1024);
  });
});
