import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  directAddress,
  kindOf,
  type Reachability,
  reachabilityOf,
  reachabilityRecord,
  whereabouts,
} from './reachability.ts';

const id = '00000000-0000-4000-8000-000000000001';
const direct: Reachability = { status: 'direct', address: '10.0.0.1:3022' };
const tunnel: Reachability = { status: 'tunnel', proxies: [id] };
const relay = { status: 'relay', by: [id], weight: 3 };
const newer: Reachability = { status: 'unknown', kind: 'relay', record: relay };

describe('how a host is reached, as it is stored', () => {
  it('is its address alone where that is how: what every release before wrote, and reads', () => {
    expect(reachabilityOf({ address: '10.0.0.1:3022' })).toEqual(direct);
    expect(reachabilityRecord(direct)).toEqual({ address: '10.0.0.1:3022' });
    expect(Object.keys(reachabilityRecord(direct))).toEqual(['address']);
  });

  it('has no address that an older release could dial where it is reached otherwise', () => {
    expect(reachabilityRecord(tunnel)).toEqual({ address: '', reachability: tunnel });
    expect(reachabilityRecord(newer)).toEqual({ address: '', reachability: relay });
  });

  it('is read as a newer release wrote it, without what this one does not know', () => {
    expect(reachabilityOf({ address: '', reachability: { ...tunnel, since: 'x' } })).toEqual(tunnel);
    expect(reachabilityOf({ address: '', reachability: { ...direct, rank: 1 } })).toEqual(direct);
  });

  it('counts before the address where both are there', () => {
    expect(reachabilityOf({ address: '10.0.0.9:1', reachability: tunnel })).toEqual(tunnel);
  });

  it('is of no kind that this release knows, and is kept, where a newer one has another', () => {
    expect(reachabilityOf({ address: '', reachability: relay })).toEqual(newer);
    const odd = { status: 'tunnel', proxies: 'all' };
    expect(reachabilityOf({ address: '', reachability: odd })).toEqual({
      status: 'unknown',
      kind: 'tunnel',
      record: odd,
    });
  });

  it.each([null, 7, 'direct', [], {}, { status: 4 }, { status: 'a\nb' }, { status: '\u001b[2J' }])(
    '%j cannot be understood, and is shown as one word',
    (record) => {
      expect(reachabilityOf({ address: '10.0.0.1:1', reachability: record })).toEqual({
        status: 'unknown',
        kind: 'unreadable',
        record,
      });
    },
  );

  it('is the same after it was written and read, whatever it is', () => {
    const any = fc.record({ address: fc.string(), reachability: fc.jsonValue() });
    fc.assert(
      fc.property(any, (record) => {
        const read = reachabilityOf(record);
        expect(reachabilityOf(reachabilityRecord(read))).toEqual(read);
        expect(kindOf(read)).toMatch(/^[a-z][a-z0-9_-]{0,31}$/);
      }),
    );
  });
});

describe('how a host is reached, in words', () => {
  it.each([
    [direct, '10.0.0.1:3022', 'direct', 'at 10.0.0.1:3022'],
    [tunnel, undefined, 'tunnel', 'through a tunnel'],
    [newer, undefined, 'relay', 'by "relay"'],
  ])('%j', (reachability, address, kind, words) => {
    expect(directAddress(reachability)).toBe(address);
    expect(kindOf(reachability)).toBe(kind);
    expect(whereabouts(reachability)).toBe(words);
  });
});
