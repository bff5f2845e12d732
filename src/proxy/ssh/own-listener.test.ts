import { createServer, type AddressInfo } from 'node:net';
import { endianness } from 'node:os';
import { describe, expect, it } from 'vitest';
import { isOwnListener, kernelAddresses, listenersIn } from './own-listener.ts';

describe.runIf(endianness() === 'LE')('who listens at an address of this machine', () => {
  const table = [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
    '   0: 0100007F:0BCE 00000000:0000 0A 00000000:00000000 00:00000000 00000000   100        0 4242 1',
    '   1: 00000000:0BCF 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4243 1',
    '   2: 0100007F:0BD0 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4244 1',
    '   3: 0200007F:0BD1 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4245 1',
  ].join('\n');
  const tcp6 =
    '   0: 00000000000000000000000000000000:0BD2 00000000000000000000000000000000:0000 0A 0:0 00:0 0 33 0 1 1';

  it('writes addresses as the kernel does', () => {
    expect(kernelAddresses('127.0.0.1')).toEqual(['0100007F', '0000000000000000FFFF00000100007F']);
    expect(kernelAddresses('0.0.0.0')).toEqual(['00000000']);
    expect(kernelAddresses('::1')).toEqual(['00000000000000000000000001000000']);
    expect(kernelAddresses('2001:db8::a:b')).toEqual(['B80D0120000000000000000' + '00B000A00']);
  });
  it.each([
    [0x0bce, '127.0.0.1', [100]],
    [0x0bcf, '127.0.0.1', [1000]], // by a wildcard
    [0x0bd0, '127.0.0.1', []], // connected, not listening
    [0x0bd1, '127.0.0.1', []],
    [0x0bd1, '127.0.0.2', [0]],
    [0x0bd2, '127.0.0.1', [33]], // IPv6's wildcard takes IPv4
  ])('at port %s of %s: %s', (port, host, owners) => {
    expect(listenersIn(`${table}\n${tcp6}`, { host, port })).toEqual(owners);
  });
  it('finds a listener of our own, and none where nobody listens', async () => {
    const server = createServer();
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
    const { port } = server.address() as AddressInfo;
    expect(await isOwnListener({ host: '127.0.0.1', port })).toBe(true);
    await new Promise((closed) => server.close(closed));
    expect(await isOwnListener({ host: '127.0.0.1', port })).toBe(false);
  });
});
