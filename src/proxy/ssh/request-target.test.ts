import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CodedError } from '../../base/errors.ts';
import { directTarget, parseRequestTarget } from './request-target.ts';

describe('reading what a client asks the proxy for', () => {
  it.each([
    ['proxysites', { kind: 'sites' }],
    ['proxynodes', { kind: 'known-nodes' }],
    ['proxy:@example', { kind: 'auth', cluster: 'example' }],
    ['proxy:@default@example', { kind: 'auth', cluster: 'example' }],
    ['proxy:node1:0', { kind: 'node', host: 'node1', port: 0, cluster: undefined }],
    ['proxy:node1', { kind: 'node', host: 'node1', port: 0, cluster: undefined }],
    ['proxy:node1:3022@example', { kind: 'node', host: 'node1', port: 3022, cluster: 'example' }],
    ['proxy:node1:0@default@example', { kind: 'node', host: 'node1', port: 0, cluster: 'example' }],
    ['proxy:[::1]:22@default@example', { kind: 'node', host: '::1', port: 22, cluster: 'example' }],
  ])('takes %s', (text, target) => {
    expect(parseRequestTarget(text)).toEqual(target);
  });
  it.each([
    'proxy:',
    'proxy:@',
    'proxy:host:99999@example',
    'proxy:host:22:33@example',
    'proxy:ho st:22',
    'proxy:host:22@other@example',
    'proxy:ho\u001bst:22',
    'proxy:ho\u0000st',
    'proxy:ho\u202est:22',
    'proxy::22',
    'proxy:[zz]:22',
    'proxy:::1:22',
    'proxy:host:-1',
    'proxy:host:22@a@b@c',
    `proxy:${'x'.repeat(600)}:1`,
  ])('refuses %s', (text) => {
    expect(() => parseRequestTarget(text)).toThrow(
      expect.objectContaining({
        code: 'bad_request',
        message: expect.stringMatching(/^invalid format for proxy request/) as string,
      }),
    );
  });
  it('leaves other subsystems to others', () => {
    expect(parseRequestTarget('sftp')).toBeUndefined();
  });
  it('reads back every address it could have been made of', () => {
    const name = fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,40}$/);
    fc.assert(
      fc.property(name, fc.nat(65_535), name, (host, port, cluster) => {
        expect(parseRequestTarget(`proxy:${host}:${port}@default@${cluster}`)).toEqual({
          kind: 'node',
          host,
          port,
          cluster,
        });
      }),
    );
  });
  it('never fails but with a coded error', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          const target = parseRequestTarget(`proxy:${text}`);
          if (target?.kind === 'node') {
            expect(target.host).not.toMatch(/[\s@\p{C}]/u);
            expect(target.port).toBeLessThan(65_536);
          }
        } catch (e) {
          expect(e).toBeInstanceOf(CodedError);
        }
      }),
    );
  });
});

describe('reading the address of a direct-tcpip channel', () => {
  it.each([
    ['node1', 22, { host: 'node1', port: 22 }],
    ['fd00::6', 3022, { host: 'fd00::6', port: 3022 }],
    ['[fd00::6]', 3022, { host: 'fd00::6', port: 3022 }],
  ])('takes %s and %i', (host, port, address) => {
    expect(directTarget({ host, port })).toEqual({ kind: 'node', ...address, cluster: undefined });
  });
  it.each(['', 'a b', 'a@b', 'x'.repeat(600), '\u001b[31m'])('refuses %j', (host) => {
    expect(() => directTarget({ host, port: 22 })).toThrow(expect.objectContaining({ code: 'bad_request' }));
  });
  it('means what the subsystem of the same name means', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-zA-Z0-9.-]{1,60}$/), fc.nat(65_535), (host, port) => {
        expect(directTarget({ host, port })).toEqual(parseRequestTarget(`proxy:${host}:${port}`));
      }),
    );
  });
});
