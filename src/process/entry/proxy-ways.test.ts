import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recordingSink } from '../../api/testing.ts';
import { askProxy } from './ask-proxy.ts';
import { type Fronts, fronts, text } from './entry-testing.ts';
import { examineProxy } from './examine-proxy.ts';
import { openEntry } from './entry.ts';
import { ProxyWays } from './proxy-ways.ts';

const never = new AbortController().signal;
let made: Fronts;
beforeEach(() => {
  made = fronts();
});
afterEach(() => {
  made.close();
});

describe('asking a proxy where to go on', () => {
  it.each([
    [{ ssh_tunnel_public_addr: 'tunnel.example:443' }, ['tunnel.example:443']],
    [
      { ssh_tunnel_public_addr: 'tunnel.example', tunnel_listen_addr: '0.0.0.0:4024' },
      ['tunnel.example:4024'],
    ],
    [{ tunnel_listen_addr: '0.0.0.0:4024' }, ['127.0.0.1:4024']],
    [
      { tunnel_listen_addr: '0.0.0.0:4024', ssh_public_addr: 'ssh.example:22' },
      ['ssh.example:4024', '127.0.0.1:4024'],
    ],
    [
      { tunnel_listen_addr: '0.0.0.0:4024', public_addr: 'web.example:443' },
      ['web.example:4024', '127.0.0.1:4024'],
    ],
    [{}, []],
    [{ tunnel_listen_addr: 'no address at all:x' }, []],
  ])('understands %j', async (says, expected) => {
    const web = await made.web({ says });
    const { tunnelAddresses, scheme } = await askProxy(web, {}, never);
    expect(tunnelAddresses.map(text)).toEqual(expected);
    expect(scheme).toBe('http');
  });

  it('finds none where none is', async () => {
    for (const at of [await made.web({}), await made.closing(), { host: '127.0.0.1', port: 1 }])
      await expect(askProxy(at, {}, never)).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining(`no proxy answers at ${text(at)}`) as string,
      });
  });
});

describe('the ways to a proxy', () => {
  it('lead to its tunnel port, which is kept until it fails', async () => {
    const tunnel = await made.auth();
    const web = await made.web({ says: { ssh_tunnel_public_addr: text(tunnel) } });
    const sink = recordingSink();
    const ways = new ProxyWays(web, sink, {});
    const both = await Promise.all([ways.open(never), ways.open(never)]);
    for (const one of [...both, await ways.open(never)]) one.destroy();
    expect(sink.lines.filter((line) => line.includes('a way to the cluster was found'))).toHaveLength(1);
    ways.forget();
    (await ways.open(never)).destroy();
    expect(sink.lines.filter((line) => line.includes('a way to the cluster was found'))).toHaveLength(2);
  });

  it('lead through an upgraded connection where nothing else does', async () => {
    const closed = await made.closing();
    const web = await made.web({ says: { ssh_tunnel_public_addr: text(closed) }, upgrades: 'auth' });
    const sink = recordingSink();
    (await new ProxyWays(web, sink, {}).open(never)).destroy();
    expect(sink.lines.join('\n')).toContain(`http://${text(web)}/v1/webapi/connect`);
  });

  it('are none where no auth server greets on any, with why', async () => {
    const web = await made.web({ says: { ssh_tunnel_public_addr: text(await made.closing()) } });
    await expect(new ProxyWays(web, recordingSink(), {}).open(never)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(
        /answers, but no way leads through it: .*;.*;.*does not upgrade|answers 200|404/,
      ) as string,
    });
  });
});

describe('how a machine comes to auth servers', () => {
  const open = (kind: 'proxies' | 'either', ...servers: { host: string; port: number }[]) =>
    openEntry({ servers, kind, sink: recordingSink(), random: () => 0, env: {} });

  it('is by proxies where they are named, and to each of them for a link', async () => {
    const web = await made.web({ says: { ssh_tunnel_public_addr: text(await made.auth()) } });
    const dead = { host: '127.0.0.1', port: 1 };
    const entry = open('proxies', dead, web);
    expect(entry.reach()).toBe('tunnel');
    (await entry.through(web, never)).destroy();
    (await entry.dialLink({ status: 'configured' }, never)).destroy();
    const own = await made.auth();
    (await entry.dialLink({ status: 'proxy', hostId: 'x', address: text(own) }, never)).destroy();
    entry.forget();
    await expect(open('proxies', dead).dialLink({ status: 'configured' }, never)).rejects.toMatchObject({
      code: 'unavailable',
    });
  });

  it('is through its links once there are any', async () => {
    const web = await made.web({});
    const entry = open('proxies', web);
    const asked: unknown[] = [];
    entry.use({
      held: () => ['a proxy'],
      open: (wish: unknown) => {
        asked.push(wish);
        return Promise.reject(new Error('far enough'));
      },
    } as never);
    await expect(entry.through(web, never)).rejects.toThrow('far enough');
    expect(asked).toEqual([{ to: 'auth' }]);
  });
});

describe('what is found at a proxy', () => {
  const summary = async (port: { host: string; port: number }) =>
    (await examineProxy(port, {})).map(({ visitor, way, result, advice }) => ({
      ...{ visitor, way, status: result.status, advice: advice.slice(0, 30) },
    }));

  it('is each way that works', async () => {
    const [ssh, tunnel] = [await made.ssh(), await made.auth()];
    const web = await made.web({
      says: { ssh_public_addr: text(ssh), ssh_tunnel_public_addr: text(tunnel) },
      upgrades: 'ssh',
    });
    const seen = await summary(web);
    expect(seen).toContainEqual({ visitor: 'tsh and ssh', way: text(ssh), status: 'works', advice: '' });
    expect(seen).toContainEqual({ visitor: 'a node', way: text(tunnel), status: 'works', advice: '' });
    expect(seen).toContainEqual({
      ...{ visitor: 'a browser', way: `http://${text(web)}`, status: 'works', advice: '' },
    });
    expect(seen.find(({ way }) => way.startsWith('https'))?.advice).toContain('it speaks plain HTTP');
  });

  it('is what to change where somebody finds no way', async () => {
    const web = await made.web({ says: { ssh_tunnel_public_addr: text(await made.closing()) } });
    const seen = await summary(web);
    expect(
      seen
        .filter(({ visitor }) => visitor === 'a node')
        .every(({ advice }) => advice.startsWith('open the tunnel port')),
    ).toBe(true);
    expect(
      seen
        .filter(({ visitor }) => visitor === 'tsh and ssh')
        .every(({ advice }) => advice.startsWith('open the SSH port')),
    ).toBe(true);
  });

  it('is nothing where no proxy is', async () => {
    const seen = await summary(await made.closing());
    expect(seen).toHaveLength(1);
    expect(seen[0]?.advice).toContain('nothing that is a proxy');
  });
});
