import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { CodedError } from '../../base/errors.ts';
import { formatHostPort } from '../../base/service.ts';
import { balancersOf } from '../client-address.ts';
import { directDialler, type DirectDiallerDeps } from './dial-direct.ts';

const [ownHostId, otherId] = ['own', 'other'];
const signal = new AbortController().signal;

function bench(wish: Partial<DirectDiallerDeps> = {}) {
  const dialled: string[] = [];
  const dial = directDialler({
    ownHostId,
    allowed: balancersOf([]),
    lookUpName: (name) => Promise.resolve(name === 'twice.example' ? ['127.0.0.1', '10.0.0.7'] : []),
    isOwnListener: () => Promise.resolve(false),
    dialAddress: (address) => {
      dialled.push(formatHostPort(address));
      if (address.host === '10.0.0.9')
        return Promise.reject(new CodedError('unavailable', 'nothing listens there'));
      return Promise.resolve(new PassThrough());
    },
    ...wish,
  });
  const node = (host: string, hostId = otherId) =>
    dial({ hostId, address: { host, port: 3022 } }, { by: 'alice', signal });
  return { node, dialled };
}

describe('dialling a node at its address', () => {
  it('goes where it says that it is', async () => {
    const { node, dialled } = bench();
    await node('10.0.0.1');
    expect(dialled).toEqual(['10.0.0.1:3022']);
  });
  it('opens nothing where only this machine can reach, and says what to do', async () => {
    const { node, dialled } = bench();
    for (const host of ['127.0.0.1', '::1', '169.254.169.254', '0.0.0.0'])
      await expect(node(host)).rejects.toThrow(/^which is .*: list .* in proxy_service\.node_addresses if/);
    expect(dialled).toEqual([]);
  });
  it('reaches a node of this machine on loopback: of this process, or of another of this account', async () => {
    const { node, dialled } = bench();
    await node('127.0.0.1', ownHostId);
    await bench({ isOwnListener: ({ port }) => Promise.resolve(port === 3022) }).node('127.0.0.1');
    expect(dialled).toEqual(['127.0.0.1:3022']);
  });
  it('dials of a name what it looked at, and nothing else', async () => {
    const { node, dialled } = bench();
    await node('twice.example');
    expect(dialled).toEqual(['10.0.0.7:3022']);
    await expect(node('unknown.example')).rejects.toThrow(
      'DNS does not know unknown.example, which it announces',
    );
  });
  it('tells why none answered', async () => {
    await expect(bench().node('10.0.0.9')).rejects.toMatchObject({
      code: 'unavailable',
      message: 'nothing listens there',
    });
  });
});
