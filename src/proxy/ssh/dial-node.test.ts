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
  it.each<[Reachability, string]>([
    [{ status: 'tunnel', proxies: ['id-9'] }, 'through a tunnel'],
    [
      { status: 'unknown', kind: 'relay', record: { status: 'relay', address: '10.0.0.1:3022' } },
      'by "relay"',
    ],
  ])('refuses %j and names what it does not support', (reachability, how) => {
    const { diallerOf, dialled } = bench();
    expect(() => diallerOf(reachability)).toThrow(
      expect.objectContaining({
        code: 'unavailable',
        message:
          `node n1 is reached ${how}, which a proxy of version ${version} does not support: ` +
          'it reaches only nodes that announce an address',
      }),
    );
    expect(dialled).toEqual([]);
  });
});
