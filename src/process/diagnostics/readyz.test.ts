import { describe, expect, it } from 'vitest';
import { conditionOf } from '../../base/condition.ts';
import { answerReadyz, type KnownHealth } from './readyz.ts';
import type { ServiceState } from '../lifecycle/supervisor.ts';

const well = conditionOf({});
const noticed = conditionOf({ notices: ['the clocks differ'] });
const lacking = conditionOf({ lacks: ['auth is away', 'no terminals'] });
const refusing = conditionOf({ refusals: [undefined, 'the disk is full'], lacks: ['heads'] });
const starting: ServiceState = { status: 'starting' };

const ask = (
  services: Readonly<Record<string, ServiceState>>,
  query = '',
  waitsFor: KnownHealth['waitsFor'] = new Map(),
): ReturnType<typeof answerReadyz> =>
  answerReadyz({ services: new Map(Object.entries(services)), waitsFor }, new URLSearchParams(query));

describe('/readyz', () => {
  it.each<[string, Readonly<Record<string, ServiceState>>, number, number, object]>([
    ['all is well', { auth: well, proxy: well }, 200, 200, { status: 'ok' }],
    [
      'somebody should look',
      { auth: noticed },
      200,
      200,
      { status: 'ok', notices: ['auth: the clocks differ'] },
    ],
    [
      'something lacks, and whoever comes is served',
      { auth: noticed, proxy: lacking },
      200,
      503,
      {
        status: 'degraded',
        reasons: ['proxy: auth is away', 'proxy: no terminals'],
        notices: ['auth: the clocks differ'],
      },
    ],
    [
      'one refuses',
      { auth: refusing, proxy: lacking },
      503,
      503,
      {
        status: 'not serving',
        reasons: ['auth: the disk is full', 'proxy: auth is away', 'proxy: no terminals'],
      },
    ],
  ])(
    'answers whether to send connections, and strictly whether all is well: %s',
    (_, services, code, strict, body) => {
      expect(ask(services)).toEqual({ code, body });
      expect(ask(services, 'strict')).toEqual({ code: strict, body });
    },
  );

  it('sends everybody elsewhere when the process leaves, for each role of it, though all are well', () => {
    const leaving = { services: new Map([['proxy', lacking]]), waitsFor: new Map(), leaving: 'it drains' };
    const reasons = ['it drains', 'proxy: auth is away', 'proxy: no terminals'];
    for (const query of ['', 'strict', 'role=proxy'])
      expect(answerReadyz(leaving, new URLSearchParams(query))).toEqual({
        code: 503,
        body: { status: 'not serving', reasons },
      });
  });

  it('says while it starts what it waits for', () => {
    const status = "teleport is starting and hasn't joined the cluster yet";
    expect(ask({ auth: refusing, node: starting })).toEqual({ code: 400, body: { status } });
    expect(ask({ node: starting }, '', new Map([['node', 'no route']]))).toEqual({
      code: 400,
      body: { status, waitsFor: ['no route'] },
    });
  });

  it('answers for one role of several: what another one lacks is not asked for', () => {
    const services = { auth: refusing, admin: well, proxy: lacking, node: starting };
    const waitsFor = new Map([['node', 'no route']]);
    expect(ask(services, 'role=proxy', waitsFor).code).toBe(200);
    expect(ask(services, 'role=proxy&strict', waitsFor).code).toBe(503);
    expect(ask(services, 'role=auth', waitsFor).code).toBe(503);
    expect(ask(services, 'role=node', waitsFor)).toMatchObject({
      code: 400,
      body: { waitsFor: ['no route'] },
    });
    expect(ask(services, 'role=proxy&role=auth', waitsFor).code).toBe(503);
  });

  it('refuses what it does not understand', () => {
    expect(ask({ auth: well, admin: well }, 'role=proxy')).toEqual({
      code: 404,
      body: { status: 'this process has no role proxy: it has auth' },
    });
    expect(ask({ auth: well }, 'srict').code).toBe(400);
  });
});
