import type { Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tellClient } from '../base/client-of.ts';
import { balancersOf, clientBehind, type Origin, originOf } from './client-address.ts';

const balancers = balancersOf(['10.0.0.0/8', '192.168.1.1', 'fd00::/16']);
const origin = (
  from: string,
  headers: Record<string, string> = {},
  { encrypted = false, list = balancers } = {},
): Origin => originOf({ remoteAddress: from, remotePort: 4711, encrypted }, (name) => headers[name], list);

describe('telling whose machine a request comes from', () => {
  it('goes by the socket', () => {
    expect(origin('192.0.2.1')).toMatchObject({ address: '192.0.2.1:4711', secure: false });
    expect(origin('2001:db8::1', {}, { encrypted: true })).toMatchObject({
      address: '[2001:db8::1]:4711',
      secure: true,
    });
    expect(origin('::ffff:192.0.2.1').address).toBe('192.0.2.1:4711');
  });
  it('believes no header of a stranger', () => {
    const lies = { 'x-forwarded-for': '198.51.100.1', 'x-forwarded-proto': 'https' };
    expect(origin('192.0.2.1', lies)).toMatchObject({ address: '192.0.2.1:4711', secure: false });
  });
  it('believes nobody when no balancer is listed', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.string(), fc.string(), (from, forwarded, proto) => {
        const headers = { 'x-forwarded-for': forwarded, 'x-forwarded-proto': proto };
        expect(origin(from, headers, { list: balancersOf([]) })).toMatchObject({
          address: `${from}:4711`,
          secure: false,
        });
      }),
    );
  });
  it.each([
    ['198.51.100.1', '198.51.100.1:0'],
    ['198.51.100.1:99', '198.51.100.1:99'],
    ['2001:db8::1', '[2001:db8::1]:0'],
    ['[2001:db8::1]:99', '[2001:db8::1]:99'],
    ['::ffff:198.51.100.1', '198.51.100.1:0'],
    ['203.0.113.66, 198.51.100.1', '198.51.100.1:0'], // the first is the client's own invention
    ['198.51.100.1, 10.1.1.1', '198.51.100.1:0'], // through two of our balancers
    ['198.51.100.1, fd00::5', '198.51.100.1:0'],
    ['10.9.9.9', '10.9.9.9:0'],
    ['', '10.0.0.5:4711'],
    ['unknown', '10.0.0.5:4711'],
    ['198.51.100.1, garbage', '10.0.0.5:4711'],
  ])('takes from a listed balancer %j as %s', (forwarded, address) => {
    expect(origin('10.0.0.5', { 'x-forwarded-for': forwarded }).address).toBe(address);
  });
  it('says where an address is that of everybody: of a balancer that is not listed, or that tells nothing', () => {
    const forwarded = { 'x-forwarded-for': '198.51.100.1' };
    expect(origin('10.0.0.5', forwarded, { list: balancersOf([]) })).toEqual({
      address: '10.0.0.5:4711',
      secure: false,
      shared: true,
    });
    expect(origin('10.0.0.5').shared).toBe(true);
    expect(origin('10.0.0.5', forwarded).shared).toBe(false);
    expect(origin('10.0.0.5').balancer).toBeUndefined();
    expect(origin('10.0.0.5', forwarded).balancer).toBe('10.0.0.5:4711');
    expect(origin('10.0.0.5', {}, { list: balancersOf([]) }).shared).toBe(false);
    // On the internet anybody could claim it, to be counted with everybody.
    for (const from of ['192.0.2.1', '2001:db8::1', 'unknown'])
      expect(origin(from, forwarded).shared).toBe(false);
  });
  it('lets a listed balancer say what the browser speaks', () => {
    expect(origin('10.0.0.5', { 'x-forwarded-proto': 'https' }).secure).toBe(true);
    expect(origin('192.168.1.1', { 'x-forwarded-proto': 'http' }, { encrypted: true }).secure).toBe(false);
    expect(origin('10.0.0.5', {}, { encrypted: true }).secure).toBe(true);
  });
  it.each(['10.0.0.0/33', 'fd00::/129', 'balancer', '10.0.0/8', '', '10.0.0.1/', '10.0.0.1/8/8'])(
    'refuses %j as a balancer',
    (entry) => {
      expect(() => balancersOf([entry])).toThrow(expect.objectContaining({ code: 'misconfigured' }));
    },
  );
});

describe('the machine behind a balancer, of a request that becomes a connection', () => {
  const behind = (remoteAddress: string | undefined, forwarded?: string) =>
    clientBehind(
      { remoteAddress, remotePort: 4000 },
      (name) => (name === 'x-forwarded-for' ? forwarded : undefined),
      balancers,
    );
  it('is whom a listed balancer named, through further ones', () => {
    expect(behind('10.0.0.5', '203.0.113.9')).toEqual({ host: '203.0.113.9', port: 0 });
    expect(behind('::ffff:10.0.0.5', '198.51.100.1, 203.0.113.9:55')).toEqual({
      ...{ host: '203.0.113.9', port: 55 },
    });
    expect(behind('10.0.0.5', '203.0.113.9, 10.0.0.6')).toEqual({ host: '203.0.113.9', port: 0 });
  });
  it.each([
    ['there is no balancer', '203.0.113.1', undefined],
    ['somebody names himself another', '203.0.113.1', '203.0.113.9'],
    ['the balancer names nobody', '10.0.0.5', undefined],
    ['what it names cannot be read', '10.0.0.5', '203.0.113.9, unknown'],
    ['it names balancers alone', '10.0.0.5', '10.0.0.6'],
    ['the connection is closed', undefined, '203.0.113.9'],
  ])('is not known where %s', (_what, from, forwarded) => {
    expect(behind(from, forwarded)).toBeUndefined();
  });
  it('is not known where a PROXY header named nobody, or somebody who is no balancer', () => {
    for (const [i, client] of [undefined, { host: '203.0.113.1', port: 7 }].entries()) {
      const socket = { remoteAddress: '10.0.0.5', remotePort: 4100 + i, once: () => undefined };
      tellClient(socket as unknown as Socket, client);
      expect(clientBehind(socket, () => '203.0.113.9', balancers)).toBeUndefined();
    }
  });
});

describe('behind a balancer that wrote a PROXY header', () => {
  const forged = { 'x-forwarded-for': '198.51.100.1', 'x-forwarded-proto': 'https' };
  let port = 50_000;
  const told = (client: string | undefined, headers: Record<string, string>): Origin => {
    const socket = { remoteAddress: '10.0.0.5', remotePort: ++port, once: () => undefined };
    tellClient(socket as unknown as Socket, client === undefined ? undefined : { host: client, port: 7 });
    return originOf(socket, (name) => headers[name], balancers);
  };
  it('the client is whom it names, and what the client forwards does not count', () => {
    const { balancer, ...rest } = told('203.0.113.9', forged);
    expect(rest).toEqual({ address: '203.0.113.9:7', secure: false, shared: false });
    expect(balancer).toBe(`10.0.0.5:${port}`);
  });
  it('the client may be another listed balancer, whose headers count', () => {
    expect(told('10.0.0.6', forged)).toEqual({
      ...{ address: '198.51.100.1:0', secure: true, shared: false },
      balancer: `10.0.0.5:${port}`,
    });
  });
  it('where it names nobody, neither do the headers: they are of somebody unknown', () => {
    expect(told(undefined, forged)).toEqual({ address: `10.0.0.5:${port}`, secure: false, shared: true });
  });
});
