import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fakeWorld, recordingSink } from '../api/testing.ts';
import { type AuditEvent, auditEvent } from '../domain/audit-event.ts';
import { expectInCatalogue } from '../domain/testing.ts';
import { mayReport } from '../domain/reported-kinds.ts';
import type { AuthFailure, SshConnection } from '../ssh/cert-server.ts';
import { ProxyAudit } from './proxy-audit.ts';

const hostId = '00000000-0000-4000-8000-0000000000b1';
const failure = (host = '192.0.2.1'): AuthFailure => ({
  username: 'root',
  keyId: 'alice',
  reason: 'the certificate has expired',
  peer: {
    remoteAddress: { host, port: 4711 },
    socketAddress: { host, port: 4711 },
    localAddress: { host: '10.0.0.1', port: 3023 },
    claimedAddress: undefined,
  },
});

interface Spool {
  readonly events: AuditEvent[];
  take: (event: AuditEvent) => Promise<void>;
}
function open(): { audit: ProxyAudit; spool: Spool; sink: ReturnType<typeof recordingSink> } {
  const events: AuditEvent[] = [];
  const spool: Spool = {
    events,
    take: (event) => {
      expectInCatalogue(event);
      events.push(auditEvent.parse(event));
      return Promise.resolve();
    },
  };
  const sink = recordingSink();
  const outbox = { emit: (event: AuditEvent) => spool.take(event) };
  return { audit: new ProxyAudit({ outbox, world: fakeWorld(), sink, hostId }), spool, sink };
}
/** What the events stand for: each refusal is one, or part of a count. */
const refusals = (events: readonly AuditEvent[]): number =>
  events.reduce((sum, e) => sum + (e.event === 'gap' ? Number(e['count']) : 1), 0);

describe('telling the audit of refused logins', () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => vi.useRealTimers());

  it('keeps the address of the balancer that told the first one', async () => {
    const { audit, spool } = open();
    const refused = failure('203.0.113.9');
    audit.refused({ ...refused, peer: { ...refused.peer, balancerAddress: { host: '10.0.0.5', port: 7 } } });
    audit.refused(failure());
    await audit.close();
    expect(spool.events.map((event) => [event['addr.remote'], event['addr.balancer']])).toEqual([
      ['203.0.113.9:4711', '10.0.0.5:7'],
      ['192.0.2.1:4711', undefined],
    ]);
  });

  it('says who, why and from where', async () => {
    const { audit, spool } = open();
    audit.refused(failure());
    await audit.close();
    expect(spool.events).toEqual([
      expect.objectContaining({
        event: 'auth',
        code: 'T3007W',
        success: false,
        error: 'the certificate has expired',
        user: 'alice',
        login: 'root',
        server_id: hostId,
        'addr.remote': '192.0.2.1:4711',
        'addr.local': '10.0.0.1:3023',
      }),
    ]);
  });
  it('tells nothing but what auth takes from a proxy', async () => {
    const { audit, spool } = open();
    const { peer } = failure();
    const connection = { certificate: { keyId: 'alice' }, username: 'root', peer } as SshConnection;
    audit.unreachable(connection, 'db1:3022', 'no node of this cluster is called db1');
    audit.disconnected(connection, 'the user was deleted');
    for (let i = 0; i < 100; i++) audit.refused(failure());
    await audit.close();
    const kinds = new Set(spool.events.map(({ event, code }) => `${event} ${code}`));
    expect([...kinds]).toEqual(['port T3003E', 'client.disconnect T3006I', 'auth T3007W', 'gap TG000W']);
    expect(spool.events.filter(({ event, code }) => !mayReport('Proxy', event, code))).toEqual([]);
  });
  it('has who enters a node of a leaf and leaves it, under the session that the leaf named', async () => {
    const { audit, spool } = open();
    const session = '11111111-2222-4333-8444-555555555555';
    const target = { kind: 'node', host: 'n1', port: 0 } as const;
    const request = { target, username: 'alice', client: '192.0.2.7:55' };
    const [stream, ended] = [new PassThrough(), new PassThrough().destroy()];
    audit.inLeaf({ leaf: 'leaf', session, request }, stream);
    await once(ended, 'close');
    audit.inLeaf({ leaf: 'leaf', session, request: { ...request, target: { kind: 'auth' } } }, ended);
    stream.destroy();
    await once(stream, 'close');
    audit.unreachableFrom({
      ...{ user: 'root/alice', target: 'n2:0', error: 'port closed' },
      address: { host: '192.0.2.7', port: 55 },
    });
    await audit.close();
    const about = { sid: session, user: 'alice', cluster_name: 'leaf', 'addr.remote': '192.0.2.7:55' };
    expect(spool.events).toMatchObject([
      { ...about, event: 'session.connect', code: 'T2010I', addr: 'n1:0' },
      { ...about, event: 'session.connect', addr: '' },
      // What was closed by then ends at once.
      { ...about, event: 'session.disconnect', addr: '' },
      { ...about, event: 'session.disconnect', code: 'T2011I', addr: 'n1:0' },
      { event: 'port', code: 'T3003E', user: 'root/alice', addr: 'n2:0', error: 'port closed' },
    ]);
    expect(spool.events.filter(({ event, code }) => !mayReport('Proxy', event, code))).toEqual([]);
  });
  it('keeps 60 of one address, and counts the rest', async () => {
    const { audit, spool } = open();
    for (let i = 0; i < 1000; i++) audit.refused(failure());
    audit.refused(failure('198.51.100.7'));
    await audit.close();
    expect(spool.events.filter(({ event }) => event === 'auth')).toHaveLength(61);
    expect(spool.events.at(-1)).toMatchObject({
      event: 'gap',
      code: 'TG000W',
      about: 'auth',
      count: 940,
      addresses: { '192.0.2.1': 940 },
    });
    expect(refusals(spool.events)).toBe(1001);
  });
  it('keeps 600 in all, whatever the addresses', async () => {
    const { audit, spool } = open();
    for (let i = 0; i < 2000; i++) audit.refused(failure(`10.0.${i >> 8}.${i & 255}`));
    await audit.close();
    expect(spool.events.filter(({ event }) => event === 'auth')).toHaveLength(600);
    expect(Object.keys(spool.events.at(-1)?.['addresses'] as object)).toHaveLength(20);
    expect(refusals(spool.events)).toBe(2000);
  });
  it('tells the number when the minute is over, though nobody comes again', async () => {
    const { audit, spool } = open();
    for (let i = 0; i < 70; i++) audit.refused(failure());
    vi.advanceTimersByTime(60_000);
    await vi.waitFor(() => {
      expect(refusals(spool.events)).toBe(70);
    });
    audit.refused(failure('198.51.100.7'));
    await audit.close();
    expect(spool.events.at(-1)).toMatchObject({ event: 'auth' });
  });
  it('holds no more than 1000 while the spool takes none, and loses no number', async () => {
    const { audit, spool } = open();
    const { take } = spool;
    let release: () => void = () => undefined;
    const full = new Promise<void>((resolve) => (release = resolve));
    spool.take = (event) => full.then(() => take(event));
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 600; i++) audit.refused(failure(`10.${round}.${i >> 8}.${i & 255}`));
      vi.advanceTimersByTime(60_000);
    }
    release();
    await audit.close();
    expect(spool.events.length).toBeLessThan(1010);
    expect(refusals(spool.events)).toBe(3000);
  });
  it('counts what the spool refused, and says it when it takes events again', async () => {
    const { audit, spool, sink } = open();
    const { take } = spool;
    spool.take = () => Promise.reject(new Error('no space'));
    for (let i = 0; i < 3; i++) audit.refused(failure());
    await vi.waitFor(() => {
      expect(sink.lines).toHaveLength(3);
    });
    expect(sink.lines[0]).toMatch(/^error an audit event could not be kept .*T3007W/);
    spool.take = take;
    await audit.close();
    expect(refusals(spool.events)).toBe(3);
  });
  it('says in the log what the audit never took', async () => {
    const { audit, spool, sink } = open();
    spool.take = () => Promise.reject(new Error('closed'));
    audit.refused(failure());
    await audit.close();
    expect(sink.lines.at(-1)).toBe(
      'error the audit did not take the number of refused attempts {"about":"auth","count":1}',
    );
  });
});
