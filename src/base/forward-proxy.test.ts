import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Environment, forwardProxyFor, forwardProxyText } from './forward-proxy.ts';

const target = { host: 'proxy.test', port: 3080 };
const found = (env: Environment, purpose: 'raw' | 'https' | 'http' = 'raw'): string | undefined => {
  const proxy = forwardProxyFor(env, target, purpose);
  return proxy === undefined ? undefined : forwardProxyText(proxy);
};

describe('the HTTP proxy of the environment', () => {
  it('is of the variable for the purpose, in capitals first', () => {
    const env = { HTTPS_PROXY: 'a:1', https_proxy: 'b:1', HTTP_PROXY: 'c:1', http_proxy: 'd:1' };
    expect([found(env), found(env, 'https'), found(env, 'http')]).toEqual([
      'http://a:1',
      'http://a:1',
      'http://c:1',
    ]);
    expect(found({ ...env, HTTPS_PROXY: '' })).toBe('http://b:1');
    expect([found({ http_proxy: 'd:1' }), found({ http_proxy: 'd:1' }, 'https')]).toEqual([
      'http://d:1',
      undefined,
    ]);
    expect(found({})).toBeUndefined();
  });
  it.each([
    ['proxy.test', 'http://proxy.test:80'],
    ['https://proxy.test', 'https://proxy.test:443'],
    ['http://[fd00::1]:3128/', 'http://[fd00::1]:3128'],
  ])('is read from %s', (text, expected) => {
    expect(found({ HTTPS_PROXY: text })).toBe(expected);
  });
  it('is not asked for this machine, or for what is exempt', () => {
    const env = { HTTPS_PROXY: 'a:1', NO_PROXY: '.test' };
    expect(found(env)).toBeUndefined();
    expect(found({ HTTPS_PROXY: 'a:1', no_proxy: '.test' })).toBeUndefined();
    for (const host of ['localhost', '127.0.0.5', '::1', 'LOCALHOST.'])
      expect(forwardProxyFor({ HTTPS_PROXY: 'a:1' }, { host, port: 1 }, 'raw')).toBeUndefined();
  });
  it('is sent the credentials of its address, which no message has', () => {
    const pair = fc.tuple(
      fc.stringMatching(/^[a-zA-Z0-9%@:/ ]{3,12}$/),
      fc.stringMatching(/^[a-z%@/ ?#]{9,12}$/),
    );
    fc.assert(
      fc.property(pair, ([user, secret]) => {
        const name = user.replaceAll(':', '');
        const value = `${encodeURIComponent(name)}:${encodeURIComponent(secret)}@gate`;
        const proxy = forwardProxyFor({ HTTPS_PROXY: `http://${value}:3128` }, target, 'raw');
        const sent = proxy?.authorization?.replace('Basic ', '') ?? '';
        expect(Buffer.from(sent, 'base64').toString()).toBe(`${name}:${secret}`);
        if (proxy !== undefined) expect(forwardProxyText(proxy)).toBe('http://gate:3128');
      }),
    );
  });
  it.each([
    'socks5://u:topsecret@h:1',
    'http://u:topsecret@',
    'http://u:topsecret@h:1/x',
    'http://u:topsecret%zz@h',
  ])('is refused by name alone: %s', (text) => {
    const look = (): unknown => found({ HTTPS_PROXY: text });
    expect(look).toThrow(/^HTTPS_PROXY/);
    expect(look).not.toThrow(/topsecret/);
  });
});
