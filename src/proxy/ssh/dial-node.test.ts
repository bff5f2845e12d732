import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { formatHostPort } from '../../base/service.ts';
import { version } from '../../base/version.ts';
import type { Reachability } from '../../domain/reachability.ts';
import { type DialNode, diallerBy } from './dial-node.ts';

const asking = { by: 'alice', signal: new AbortController().signal };

function bench() {
  const dialled: string[] = [];
  const of = diallerBy({
    direct: ({ hostId, address }) => {
      dialled.push(`${hostId} ${formatHostPort(address)}`);
      return Promise.resolve(new PassThrough());
    },
    tunnel: ({ hostId, proxies }) => {
      dialled.push(`${hostId} by ${proxies.join()}`);
      return Promise.resolve(new PassThrough());
    },
  });
  const diallerOf = (reachability: Reachability): DialNode =>
    of({ hostId: 'id-1', nodename: 'n1', reachability, since: undefined });
  return { diallerOf, dialled };
}

describe('choosing how a node is dialled', () => {
  it('takes the address where the node is reached directly', async () => {
    const { diallerOf, dialled } = bench();
    await diallerOf({ status: 'direct', address: '[fd00::6]:3022' })(asking);
    expect(dialled).toEqual(['id-1 [fd00::6]:3022']);
  });
  it.each(['', '1:2:3', '0.0.0.0:3022', '[::]:3022'])('takes no address %j', (address) => {
    expect(() => bench().diallerOf({ status: 'direct', address })).toThrow(
      expect.objectContaining({
        code: 'unavailable',
        message: 'node n1 announces an address that cannot be read',
      }),
    );
  });
  it('goes by a tunnel where the node hangs on proxies', async () => {
    const { diallerOf, dialled } = bench();
    await diallerOf({ status: 'tunnel', proxies: ['id-9', 'id-8'] })(asking);
    expect(dialled).toEqual(['id-1 by id-9,id-8']);
  });
  it('refuses what it does not support, and names it', () => {
    const { diallerOf, dialled } = bench();
    const record = { status: 'relay', address: '10.0.0.1:3022' };
    expect(() => diallerOf({ status: 'unknown', kind: 'relay', record })).toThrow(
      expect.objectContaining({
        code: 'unavailable',
        message:
          `node n1 is reached by "relay", which a proxy of version ${version} does not support: ` +
          'it reaches nodes that announce an address, or that hang on proxies',
      }),
    );
    expect(dialled).toEqual([]);
  });
});
