import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isCoded } from '../../../base/errors.ts';
import { parseDynamicForward, parseForward } from './port-forward.ts';
import { isLoopback, parseProxyAddress, readHostPort } from '../cluster/proxy-address.ts';
import { parseLocation } from '../scp/scp-location.ts';
import { parseJumpHost } from '../settings.ts';
import { parseLabels } from '../../labels.ts';
import { parseTarget } from './ssh-target.ts';

describe('reading --proxy', () => {
  it.each([
    ['localhost', 'localhost', undefined, undefined],
    ['localhost:443', 'localhost', 443, undefined],
    ['localhost:443,2223', 'localhost', 443, 2223],
    ['localhost:,2223', 'localhost', undefined, 2223],
    ['https://teleport.example.com:3080/', 'teleport.example.com', 3080, undefined],
    ['[::1]:3080', '::1', 3080, undefined],
    ['::1', '::1', undefined, undefined],
  ])('%s', (text, host, webPort, sshPort) => {
    expect(parseProxyAddress(text)).toEqual({ host, webPort, sshPort });
  });
  it.each(['', 'a b', 'a:b', 'a:1:2', 'a:70000', '../x', 'a/b:3080', '[x]:1', '-x'])('refuses %j', (text) => {
    expect(() => parseProxyAddress(text)).toThrow(/host/);
  });
  it('knows which addresses are this machine', () => {
    expect(
      ['localhost', '127.0.0.1', '127.1.2.3', '::1', '127.example.com', '10.0.0.1'].map(isLoopback),
    ).toEqual([true, true, true, true, false, false]);
  });
  it('reads what a proxy says of itself', () => {
    expect(readHostPort('[::1]:3023')).toEqual({ host: '::1', port: 3023 });
    expect(readHostPort(':3023')).toEqual({ host: '', port: 3023 });
    expect(readHostPort('a')).toBeUndefined();
  });
});

describe('reading -J', () => {
  it('takes one host, with login and port', () => {
    expect(parseJumpHost('joe@proxy:2222')).toEqual({
      username: 'joe',
      address: { host: 'proxy', port: 2222 },
    });
    expect(parseJumpHost('proxy')).toEqual({ username: undefined, address: { host: 'proxy', port: 3023 } });
  });
  it('refuses a chain', () => {
    expect(() => parseJumpHost('a,b')).toThrow('exactly one jump host');
  });
});

describe('reading the target of ssh', () => {
  it.each([
    ['node1', undefined, 'node1'],
    ['root@node1', 'root', 'node1'],
    ['joe@corp@node1', 'joe@corp', 'node1'],
    ['root@[::1]', 'root', '::1'],
    ['10.0.0.1', undefined, '10.0.0.1'],
  ])('%s', (text, login, host) => {
    expect(parseTarget(text)).toEqual({ kind: 'host', login, host });
  });
  it('takes labels', () => {
    expect(parseTarget('root@env=dev,role=db')).toEqual({
      kind: 'labels',
      login: 'root',
      labels: { env: 'dev', role: 'db' },
    });
    expect(parseTarget('mail=a@b')).toEqual({ kind: 'labels', login: undefined, labels: { mail: 'a@b' } });
  });
  it.each(['@node', 'root@', 'a b', '-oProxyCommand', 'a\nb'])('refuses %j', (text) => {
    expect(() => parseTarget(text)).toThrow(/expected|not the name/);
  });
  it('says how to give a port', () => {
    expect(() => parseTarget('root@node1:22')).toThrow(
      "'node1:22' is not the name of a node: give the port as -p 22",
    );
  });
  it('never lets a host name reach into another part of the request to the proxy', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          const target = parseTarget(text);
          if (target.kind === 'host') expect(target.host).not.toMatch(/[@\s/]/);
        } catch (e) {
          if (!isCoded(e, 'bad_request')) throw e;
        }
      }),
    );
  });
});

describe('reading labels', () => {
  it('takes commas in quotes', () => {
    expect(parseLabels('a=1, b="x, y",c=')).toEqual({ a: '1', b: 'x, y', c: '' });
    expect(parseLabels('')).toEqual({});
  });
  it.each(['a', 'a=1,b', '=1', 'a="x'])('refuses %j', (text) => {
    expect(() => parseLabels(text)).toThrow('expected key=value');
  });
});

describe('reading -L and -D', () => {
  it('listens on this machine unless told otherwise', () => {
    expect(parseForward('8080:web:80')).toEqual({
      listen: { host: '127.0.0.1', port: 8080 },
      target: { host: 'web', port: 80 },
    });
    expect(parseForward('[::1]:8080:[fe80::1]:80')).toEqual({
      listen: { host: '::1', port: 8080 },
      target: { host: 'fe80::1', port: 80 },
    });
    expect(parseDynamicForward('1080')).toEqual({ host: '127.0.0.1', port: 1080 });
    expect(parseDynamicForward('0.0.0.0:1080')).toEqual({ host: '0.0.0.0', port: 1080 });
  });
  it.each(['80', '80:web', 'a:b:c', '1:2:3:4:5', '::', '70000:web:80', ':80:web:80'])(
    'refuses %j',
    (text) => {
      expect(() => parseForward(text)).toThrow(/-L|expected/);
    },
  );
});

describe('reading the places of scp', () => {
  it.each([
    ['a.txt', { kind: 'local', path: 'a.txt' }],
    ['./a:b', { kind: 'local', path: './a:b' }],
    ['/a:b', { kind: 'local', path: '/a:b' }],
    ['node:/tmp/x', { kind: 'remote', login: undefined, host: 'node', path: '/tmp/x' }],
    ['root@node:', { kind: 'remote', login: 'root', host: 'node', path: '.' }],
    ['root@[::1]:a b', { kind: 'remote', login: 'root', host: '::1', path: 'a b' }],
    ['node:a@b', { kind: 'remote', login: undefined, host: 'node', path: 'a@b' }],
  ])('%s', (text, location) => {
    expect(parseLocation(text)).toEqual(location);
  });
});
