import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { fakeWorld, recordingSink } from '../api/testing.ts';
import { hour, minute } from '../base/duration.ts';
import type { AuditEvent } from '../domain/audit-event.ts';
import { expectInCatalogue } from '../domain/testing.ts';
import type { AuthFailure } from '../ssh/cert-server.ts';
import { NodeAudit } from './node-audit.ts';
import { RefusedLogins } from './refused-logins.ts';

const failureFrom = (host: string): AuthFailure => {
  const address = { host, port: 1 };
  return {
    username: 'root',
    keyId: undefined,
    reason: 'no',
    peer: {
      remoteAddress: address,
      localAddress: address,
      socketAddress: address,
      claimedAddress: undefined,
    },
  };
};

function open(): { refused: RefusedLogins; told: AuditEvent[]; world: ReturnType<typeof fakeWorld> } {
  const world = fakeWorld();
  const sink = recordingSink();
  const told: AuditEvent[] = [];
  const outbox = {
    emit: (event: AuditEvent) => {
      expectInCatalogue(event);
      told.push(event);
      return Promise.resolve();
    },
  };
  const audit = new NodeAudit({ outbox, world, sink, hostId: 'h', nodename: 'n', address: () => 'a:1' });
  return { refused: new RefusedLogins(audit, world, sink), told, world };
}

beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => vi.useRealTimers());

it('reports the number of what it did not keep within a minute, though nobody comes again', async () => {
  const { refused, told } = open();
  for (let n = 0; n < 5_000; n++) refused.record(failureFrom(`10.0.${n >> 8}.${n & 255}`));
  expect(told).toHaveLength(600);
  await vi.advanceTimersByTimeAsync(minute);
  expect(told.slice(600)).toEqual([
    expect.objectContaining({ event: 'gap', code: 'TG000W', about: 'auth', count: 4_400, server_id: 'h' }),
  ]);
  await vi.advanceTimersByTimeAsync(hour);
  expect(told).toHaveLength(601);
  await refused.close();
  expect(told).toHaveLength(601);
});

it('reports the number when the node stops', async () => {
  const { refused, told } = open();
  for (let n = 0; n < 700; n++) refused.record(failureFrom('192.0.2.1'));
  expect(told).toHaveLength(60);
  await refused.close();
  expect(told.slice(60)).toEqual([
    expect.objectContaining({ event: 'gap', count: 640, addresses: { '192.0.2.1': 640 } }),
  ]);
});

it('has who came, from where, by what name and with what', () => {
  const { refused, told } = open();
  const failure = failureFrom('192.0.2.1');
  refused.record(failure);
  refused.record({ ...failure, keyId: 'alice' });
  expect(told).toMatchObject([
    { event: 'auth', success: false, error: 'no', login: 'root', proto: 'ssh', 'addr.remote': '192.0.2.1:1' },
    { user: 'alice' },
  ]);
  expect(Object.keys(told[0] ?? {})).not.toContain('user');
});

it('goes on one by one a minute later, also when the clock is set back', () => {
  const { refused, told, world } = open();
  for (let n = 0; n < 70; n++) refused.record(failureFrom('192.0.2.1'));
  world.setClock(-60 * minute);
  world.advance(minute);
  refused.record(failureFrom('192.0.2.1'));
  expect(told.filter(({ event }) => event === 'auth')).toHaveLength(61);
});
