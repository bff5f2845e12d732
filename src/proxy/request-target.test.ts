import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { parseRequestTarget } from './request-target.ts';

describe('reading what a client asks the proxy for', () => {
  it.each([
    ['proxysites', { kind: 'sites' }],
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
  it('never fails but with a coded error', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          const target = parseRequestTarget(`proxy:${text}`);
          if (target?.kind === 'node') {
            expect(target.host).not.toMatch(/[\s@]/);
            expect(target.port).toBeLessThan(65_536);
          }
        } catch (e) {
          expect(e).toBeInstanceOf(CodedError);
        }
      }),
    );
  });
});
