import { expect, it } from 'vitest';
import { catalogue } from '../domain/audit-catalogue.ts';
import { addressFields } from './node-audit.ts';
import { testAudit, testSubject } from './testing.ts';

const happening = catalogue.sessionData({ rx: 1, tx: 2 });

it('has nothing to wait for, then waits for what is on its way', async () => {
  const disk = Promise.withResolvers<undefined>();
  const { audit, events } = testAudit(() => disk.promise);
  await audit.settled();
  void audit.afterwards(testSubject, happening);
  let over = false;
  const settled = audit.settled().then(() => (over = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(over).toBe(false);
  disk.resolve(undefined);
  await settled;
  expect(events).toMatchObject([{ ...happening, user: 'ann', login: 'joe', server_id: 'h', proto: 'ssh' }]);
});

it('puts an event whole into the log of the process when it cannot be kept', async () => {
  const { audit, sink } = testAudit(() => Promise.reject(new Error('the disk is full')));
  await audit.afterwards(testSubject, happening);
  expect(JSON.stringify(sink.lines)).toMatch(/could not be kept.*the disk is full.*T2006I/);
});

it('names the proxy that stands between, and what was claimed but is not known to be so', () => {
  const at = (port: number) => ({ host: '192.0.2.1', port });
  const direct = {
    remoteAddress: at(1),
    localAddress: at(2),
    socketAddress: at(1),
    claimedAddress: undefined,
  };
  const said = { 'addr.remote': '192.0.2.1:1', 'addr.local': '192.0.2.1:2' };
  expect(addressFields(direct)).toEqual(said);
  expect(addressFields({ ...direct, socketAddress: at(3) })).toEqual({
    ...said,
    'addr.proxy': '192.0.2.1:3',
  });
  expect(addressFields({ ...direct, socketAddress: at(3), balancerAddress: at(5) })).toEqual({
    ...said,
    ...{ 'addr.proxy': '192.0.2.1:3', 'addr.balancer': '192.0.2.1:5' },
  });
  // No proxy is in between: the balancer is the node's own.
  expect(addressFields({ ...direct, socketAddress: at(3), balancerAddress: at(3) })).toEqual({
    ...said,
    'addr.balancer': '192.0.2.1:3',
  });
  expect(addressFields({ ...direct, claimedAddress: at(1) })).toEqual(said);
  expect(addressFields({ ...direct, claimedAddress: at(4) })).toEqual({
    ...said,
    'addr.claimed': '192.0.2.1:4',
  });
});

it('claims room on a full disk for whom roles let in, and for what has happened already', async () => {
  const { audit, claims } = testAudit();
  for (const mayEnter of [true, false]) {
    const subject = { ...testSubject, mayEnterOnFullDisk: () => mayEnter };
    await audit.record(subject, happening);
    await audit.afterwards(subject, happening);
  }
  expect(claims).toEqual([
    { happened: false, mayEnter: true },
    { happened: true, mayEnter: true },
    { happened: false, mayEnter: false },
    { happened: true, mayEnter: false },
  ]);
});
