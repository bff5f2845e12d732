import { duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { recordingSink } from '../../api/testing.ts';
import { CodedError } from '../../base/errors.ts';
import { FinalRefusal } from '../../tunnel/frame-bodies.ts';
import type { Asked } from '../../tunnel/link-options.ts';
import type { OpenTarget } from '../ssh/open-target.ts';
import { RootVisitors } from './root-visitors.ts';

const session = '11111111-2222-4333-8444-555555555555';
const wish = {
  to: 'inside',
  target: { kind: 'node', host: 'n1.other', port: 0 },
  ...{ username: 'alice', client: '192.0.2.7:55' },
};

function bench(openTarget: OpenTarget) {
  const [sink, told] = [recordingSink(), [] as unknown[]];
  const visitors = new RootVisitors({
    ...{ clusterName: 'leaf', openTarget, sink, newSessionId: () => session },
    audit: { unreachableFrom: (asked) => told.push(asked) },
  });
  const ask = async (wanted: unknown): Promise<{ refused?: CodedError; told?: unknown; said?: string }> => {
    const [near, far] = duplexPair();
    const answer = Promise.withResolvers<{ refused?: CodedError; told?: unknown }>();
    const asked: Asked = {
      ...{ wish: wanted, signal: new AbortController().signal },
      accept: (more) => {
        answer.resolve({ told: more });
        return far;
      },
      refuse: (refused) => {
        answer.resolve({ refused });
      },
    };
    visitors.answer('root', asked);
    const got = await answer.promise;
    if (got.refused !== undefined) return got;
    const said = await text(near);
    near.end();
    return { ...got, said };
  };
  return { visitors, sink, told, ask };
}

describe('somebody of a root', () => {
  it('is given what is of this cluster, under a name of its own, and the root is told the session', async () => {
    const opened: unknown[] = [];
    const { ask } = bench((target, client) => {
      opened.push([target, client]);
      const [near, far] = duplexPair();
      far.end('the node');
      far.resume();
      return Promise.resolve(near);
    });
    expect(await ask(wish)).toEqual({ told: { session }, said: 'the node' });
    expect(await ask({ ...wish, target: { kind: 'auth' } })).toEqual({ told: undefined, said: 'the node' });
    const client = {
      ...{ username: 'root/alice', routeToCluster: '', address: { host: '192.0.2.7', port: 55 } },
    };
    expect(opened).toEqual([
      // Of this cluster, whatever the name looks like.
      [
        { kind: 'node', host: 'n1.other', port: 0, cluster: 'leaf' },
        { ...client, session },
      ],
      [
        { kind: 'auth', cluster: 'leaf' },
        { ...client, session: undefined },
      ],
    ]);
  });

  it.each([
    [{ to: 'auth' }],
    [{ to: 'own-node' }],
    [{ to: 'node', hostId: session }],
    [{ ...wish, to: 'leaf', clusterName: 'leaf' }],
    [{ ...wish, client: 'not an address' }],
    [{ ...wish, target: { kind: 'node', host: '', port: 0 } }],
    [{ ...wish, target: { kind: 'node', host: 'n1', port: 65_536 } }],
    [undefined],
  ])('is refused %j', async (wanted) => {
    const { ask } = bench(() => Promise.reject(new Error('nothing is opened')));
    const { refused } = await ask(wanted);
    expect(['bad_request', 'access_denied']).toContain(refused?.code);
  });

  it('hears what this cluster answers, and the reason is kept here', async () => {
    const { ask, told, sink } = bench(() =>
      Promise.reject(
        new CodedError('unavailable', 'cannot reach node n1', { cause: new Error('port closed') }),
      ),
    );
    const { refused } = await ask(wish);
    expect(refused).toBeInstanceOf(FinalRefusal);
    expect(refused?.message).toBe('cannot reach node n1');
    const about = { user: 'root/alice', target: 'n1.other:0' };
    expect(told).toEqual([{ ...about, address: { host: '192.0.2.7', port: 55 }, error: 'port closed' }]);
    expect(sink.lines.join()).toContain('port closed');
  });

  it('is not told of a bug, which the log has', async () => {
    const { ask, sink } = bench(() => Promise.reject(new TypeError('x is not a function')));
    const { refused } = await ask(wish);
    expect([refused?.code, refused?.message]).toEqual(['internal', 'this proxy failed']);
    expect(refused).not.toBeInstanceOf(FinalRefusal);
    expect(sink.lines.join()).toMatch(/,error bug: .*x is not a function/);
  });

  it('is waited for until it has left, or the time is over', async () => {
    const [near, far] = duplexPair();
    const { visitors, ask } = bench(() => Promise.resolve(near));
    const asked = ask(wish);
    await turn();
    let gone = false;
    const all = visitors.gone().then(() => (gone = true));
    await visitors.gone(Promise.resolve());
    expect(gone).toBe(false);
    far.end('bye');
    far.resume();
    expect((await asked).said).toBe('bye');
    await all;
    expect(gone).toBe(true);
  });
});
