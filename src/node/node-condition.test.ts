import { describe, expect, it } from 'vitest';
import { emptyTable, tableFrom } from '../views/table.ts';
import { nodeCondition, type NodeStanding } from './node-condition.ts';

const unread = { type: 'role.updated', position: 7, critical: [], why: '' };
const silent = { trouble: (): undefined => undefined };
const linkOf = (away?: string): NodeStanding['auth'] => ({
  state: {
    connection: () =>
      away === undefined ? { status: 'connected' } : { status: 'away', since: 0, reason: away },
  } as NodeStanding['auth']['state'],
});
const viewsOf = (status: 'absent' | 'present', failure?: Error): NodeStanding['views'] => ({
  failure: () => failure,
  cluster: { state: () => ({ status }) } as unknown as NodeStanding['views']['cluster'],
});
const well: NodeStanding = {
  auth: linkOf(),
  views: viewsOf('present'),
  libc: { status: 'loaded' } as unknown as NodeStanding['libc'],
  renewalTrouble: () => undefined,
  outbox: { ...silent, disk: () => ({ status: 'writable' }) },
  announcement: silent,
};

describe('a node', () => {
  it('serves by what it last folded while auth is away, without terminals if need be', () => {
    const libc: NodeStanding['libc'] = { status: 'unavailable', reason: 'no terminals' };
    expect(nodeCondition({ ...well, auth: linkOf('refused'), libc })).toEqual({
      status: 'degraded',
      lacks: ['auth is away (refused): decides by what was last known', 'no terminals'],
      notices: [],
    });
    expect(nodeCondition(well)).toEqual({ status: 'serving', notices: [] });
  });
  it('reports what it cannot read, and serves those whom that does not concern', () => {
    const state = { known: emptyTable, unreadable: tableFrom([['dev', { last: null, facts: [unread] }]]) };
    const views = { ...viewsOf('present'), roles: { state: () => state } };
    expect(nodeCondition({ ...well, views })).toMatchObject({
      status: 'degraded',
      lacks: [expect.stringMatching(/^this release cannot read role dev \(role.updated, event 7\)/)],
    });
  });
  it('with a full disk still serves those who may free space', () => {
    const since = '2026-01-02T03:04:05.000Z';
    const disk = () => ({ status: 'refusing', since, reason: '0 bytes are free' });
    const outbox = { ...silent, disk } as unknown as NodeStanding['outbox'];
    expect(nodeCondition({ ...well, outbox })).toMatchObject({
      status: 'degraded',
      lacks: [expect.stringMatching(/takes nothing since 2026-01-02T03:04:05.000Z .*to free space$/)],
    });
  });
  it.each([
    ['that never folded its cluster', viewsOf('absent')],
    ['whose folds stand still', viewsOf('present', new Error('damaged'))],
  ])('%s does not serve: it lets nobody in', (_, views) => {
    expect(nodeCondition({ ...well, views })).toMatchObject({ status: 'not serving' });
  });
});
