import { expect, it } from 'vitest';
import { fakeWorld } from '../api/testing.ts';
import { minute } from '../base/duration.ts';
import type { NodeAudit } from './node-audit.ts';
import { RefusedLogins } from './refused-logins.ts';

const address = { host: '192.0.2.1', port: 1 };
const failure = {
  username: 'root',
  reason: 'no',
  peer: { remoteAddress: address, localAddress: address, socketAddress: address },
};

it('counts what is above 60 of one address, and goes on a minute later also when the clock is set back', () => {
  const world = fakeWorld();
  const told: Record<string, unknown>[] = [];
  const audit = {
    unnamed: (fields: Record<string, unknown>) => {
      told.push(fields);
      return Promise.resolve();
    },
  };
  const refused = new RefusedLogins(audit as unknown as NodeAudit, world);
  for (let i = 0; i < 700; i++) refused.record(failure as Parameters<RefusedLogins['record']>[0]);
  expect(told).toHaveLength(60);
  world.setClock(-60 * minute);
  world.advance(minute);
  refused.record(failure as Parameters<RefusedLogins['record']>[0]);
  expect(told[60]).toMatchObject({ count: 640 });
  expect(told).toHaveLength(62);
});
