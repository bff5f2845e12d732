import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { second } from '../base/time.ts';
import { userStream } from '../domain/streams.ts';
import { machine, program } from './machine-testing.ts';
import { RefusedLogins } from './refused-logins.ts';
import { begin, type Bench, diagnosed, dial, identityOf, logIn, until } from './service-testing.ts';

const namesOf = ({ told }: Bench): unknown[] => told.map(({ event, user }) => [event, user]);

describe('a node that stops', () => {
  it('closes in this order: listener, who is here, labels, announcement, record, views', async () => {
    const one = await begin();
    const alice = await logIn(one);
    machine.labelsStop = () => {
      one.order.push('labels');
    };
    one.order.length = 0;
    let done = false;
    void one.running.done.then(() => (done = true));
    const stopping = one.running.stop(60 * second);
    await turn();
    expect(one.order).toEqual(['listener']);
    const refused = dial(one);
    refused.on('error', () => undefined);
    expect(one.state.readers.size).toBeGreaterThan(0);
    alice.close();
    refused.destroy();
    await stopping;
    expect(one.order).toEqual(['listener', 'labels', 'farewell']);
    expect(one.state.readers.size).toBe(0);
    await one.running.done;
    expect(done).toBe(true);
  });

  it('says no farewell where another process serves on', async () => {
    const one = await begin();
    await one.running.stop(0, 'succeeded');
    expect(one.order).not.toContain('farewell');
  });

  it('waits no longer than it was given, then tells who is left, and lets nobody in', async () => {
    const one = await begin();
    const alice = await logIn(one);
    const session = await alice.exec('one');
    await program();
    const stopping = one.running.stop(60 * second);
    await turn();
    expect(diagnosed(one)).toMatchObject({ connections: 1, sessions: 1 });
    const cut = one.running.stop(0);
    expect((await alice.closed)?.message).toContain('the server is stopping');
    await Promise.all([stopping, cut]);
    await session.exit;
    expect(diagnosed(one)).toMatchObject({ connections: 0 });
    expect(namesOf(one)).toContainEqual(['session.end', 'alice']);
    const late = dial(one);
    await new Promise((resolve) => late.once('close', resolve));
  });

  it('waits until all is on record, those who were refused last, and follows the cluster until then', async () => {
    const kept = Promise.withResolvers<undefined>();
    const told: string[] = [];
    const one = await begin({
      deps: {
        outbox: {
          emit: (event) => {
            told.push(event.event);
            return kept.promise;
          },
          ...{ disk: () => ({ status: 'writable' }), pending: () => 0, trouble: () => undefined },
        },
      },
    });
    const refused = vi.spyOn(RefusedLogins.prototype, 'close');
    const alice = await logIn(one);
    one.tell([userStream('alice'), { type: 'user.deleted', data: {} }]);
    await alice.closed;
    expect(told).toEqual(['client.disconnect']);
    let over = false;
    const stopping = one.running.stop(0).then(() => (over = true));
    await until(() => {
      expect(refused).toHaveBeenCalledOnce();
    });
    for (let n = 0; n < 5; n++) await turn();
    expect([over, one.state.readers.size > 0]).toEqual([false, true]);
    kept.resolve(undefined);
    await stopping;
    expect(one.state.readers.size).toBe(0);
  });

  it('looks at nothing any more', async () => {
    const one = await begin();
    await one.running.stop(0);
    const { length } = one.beats;
    one.standing.adopted = ['x:init', ''];
    one.identity.replace({ client: identityOf(), server: identityOf() });
    machine.labels.changed();
    await turn();
    expect(one.beats).toHaveLength(length);
  });
});
