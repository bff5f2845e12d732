import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { realWorld } from '../../src/base/world.ts';
import { type Attacked, startAttacked, uuid } from './attacked.ts';
import { until } from '../harness/run-program.ts';

let here: Attacked;
beforeAll(async () => {
  here = await startAttacked();
});
afterAll(() => here.cluster.close());

const denied = { status: 403, body: expect.stringContaining('access_denied') as string };

describe('the auth port, to a machine that was taken over', () => {
  it('lets a node speak for itself only', async () => {
    const host = {
      ...{ hostId: here.node.hostId, role: 'Node', nodename: 'n1', address: '127.0.0.1:1' },
      ...{ publicAddress: '', labels: {}, version: 'x' },
    };
    for (const other of [{ hostId: uuid(2) }, { role: 'Proxy' }, { role: 'Auth' }])
      expect(
        await here.auth('/v3/host.heartbeat', {
          as: here.node,
          body: JSON.stringify({ host: { ...host, ...other }, ttlSeconds: 60 }),
        }),
      ).toMatchObject(denied);
    // What is stored is stored for ever.
    const labels = Object.fromEntries(
      Array.from({ length: 20_000 }, (_, i) => [`label-${i}`, 'x'.repeat(50)]),
    );
    expect(
      await here.auth('/v3/host.heartbeat', {
        as: here.node,
        body: JSON.stringify({ host: { ...host, labels }, ttlSeconds: 60 }),
      }),
    ).toMatchObject({ status: 413 });
    const beat = (more: Record<string, string>) =>
      here.auth('/v3/host.heartbeat', {
        as: here.node,
        body: JSON.stringify({ host: { ...host, labels: more }, ttlSeconds: 60 }),
      });
    expect(await beat({ a: 'x'.repeat(50_000) })).toMatchObject({
      status: 400,
      body: expect.stringContaining('host.labels.a: a label value has up to 1024 characters') as string,
    });
    const head = '/v3/log/state/position?before=2100-01-01T00:00:00.000Z';
    const stateHead = async (): Promise<number> => {
      const { body } = await here.auth(head, { method: 'GET', as: here.node });
      return (JSON.parse(body) as { position: number }).position;
    };
    const before = await stateHead();
    for (let n = 0; n < 60; n++) expect(await beat({ n: String(n) })).toMatchObject({ status: 200 });
    expect((await beat({ n: 'last' })).body).toMatch(/"changeAfterMs":\d+,"notice":"the quota of changes/);
    expect((await stateHead()) - before).toBeLessThanOrEqual(21);
    expect(await here.events('quota.exceeded')).toMatchObject([
      { code: 'TQ000W', about: `node:${here.node.hostId}`, quota: 'changes' },
    ]);
    expect((await here.cluster.tctl('status')).stdout).toMatch(
      new RegExp(`Over quota +node:${here.node.hostId}: changes, at `),
    );
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
    const deepEvent = `{"event":"x","code":"x","uid":"${uuid(4)}","time":"${realWorld.now()}","deep":${deep}}`;
    expect(
      await here.auth('/v3/audit.emit', { as: here.node, body: `{"events":[${deepEvent}]}` }),
    ).toMatchObject({ status: 400 });
    const event = { event: 'exec', code: 'T3002I', uid: uuid(3), time: realWorld.now(), server_id: uuid(2) };
    expect(
      await here.auth('/v3/audit.emit', { as: here.node, body: JSON.stringify({ events: [event] }) }),
    ).toMatchObject({ status: 400, body: expect.stringContaining('server_id') as string });
    const emit = (extra: object) =>
      here.auth('/v3/audit.emit', {
        as: here.node,
        body: JSON.stringify({ events: [{ ...event, server_id: here.node.hostId, ...extra }] }),
      });
    for (const kind of [
      { event: 'user.login', code: 'T1000I', user: 'alice', success: true },
      { event: 'user.delete', code: 'T1004I', name: 'alice' },
      { event: 'exec', code: 'T1000I' },
    ])
      expect(await emit(kind)).toMatchObject({
        status: 400,
        body: expect.stringContaining('is not reported by a machine in role Node') as string,
      });
    const lies = {
      actor: 'admin',
      server_hostname: 'auth1',
      time: '2099-01-01T00:00:00.000Z',
      command: 'lie',
    };
    expect(await emit(lies)).toMatchObject({ status: 200 });
    const [told] = (await here.events('exec')).filter(({ command }) => command === 'lie');
    expect(told).toMatchObject({
      ...{ actor: `node:${here.node.hostId}`, server_id: here.node.hostId, server_hostname: 'n1' },
      claimed: { actor: 'admin', server_hostname: 'auth1', time: lies.time },
    });
    expect(told?.['time']).toBe(told?.['received']);
  });

  it('lets a machine follow the log so often at a time, and again when it has left', async () => {
    const { auth } = here.cluster.ports;
    const { privateKeyPem: key, tlsCertificatePem: cert } = here.proxy;
    const agent = new Agent({ key, cert, rejectUnauthorized: false });
    const follow = async (): Promise<IncomingMessage> => {
      const outgoing = request({ host: 'localhost', port: auth, path: '/v3/log/state', agent }).end();
      const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
      return incoming;
    };
    const open = await Promise.all(Array.from({ length: 64 }, follow));
    expect(open.map((one) => one.statusCode)).toEqual(Array(64).fill(200));
    const refused = await follow();
    expect([refused.statusCode, await text(refused)]).toEqual([
      429,
      expect.stringMatching(/"quota".*64 of 64 are open; try again in 5 s.*quotas\.streams/),
    ]);
    open[0]?.destroy();
    await until('a place to be free', async () => {
      const next = await follow();
      open.push(next);
      return next.statusCode === 200 ? true : undefined;
    });
    expect(
      (
        await here.auth('/v3/log/state/position?before=2100-01-01T00:00:00.000Z', {
          method: 'GET',
          as: here.node,
        })
      ).status,
    ).toBe(200);
    for (const one of open) one.destroy();
    agent.destroy();
  });

  it('serves on', () => here.unharmed());
});
