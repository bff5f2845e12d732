import { describe, expect, it } from 'vitest';
import { filter, firstValueFrom } from 'rxjs';
import { type Condition, conditionOf } from '../../base/condition.ts';
import type { Service } from '../../base/service.ts';
import { Supervisor } from './supervisor.ts';

function traced(name: string, trace: string[]): { service: Service; breakNow: () => void } {
  let fail: (e: Error) => void = () => undefined;
  const service: Service = {
    name,
    start: () => {
      trace.push(`start ${name}`);
      let finish: () => void = () => undefined;
      const done = new Promise<void>((resolve, reject) => {
        finish = resolve;
        fail = reject;
      });
      return Promise.resolve({
        done,
        condition: () => conditionOf({}),
        stop: () => {
          trace.push(`stop ${name}`);
          finish();
          return Promise.resolve();
        },
      });
    },
  };
  return {
    service,
    breakNow: () => {
      fail(new Error('lost'));
    },
  };
}
const options = {
  backoffMs: () => 0,
  pause: () => Promise.resolve(),
  onFailure: () => undefined,
};

describe('supervising services', () => {
  it('starts in order, and stops what others stand on last', async () => {
    const trace: string[] = [];
    const supervisor = new Supervisor([traced('auth', trace).service, traced('proxy', trace).service], {
      ...options,
      foundations: new Set(['auth']),
    });
    await supervisor.start();
    await supervisor.stop(0);
    expect(trace).toEqual(['start auth', 'start proxy', 'stop proxy', 'stop auth']);
  });

  it('gives those who are served already their time when it is stopped before all have started', async () => {
    const graces: number[] = [];
    const serves: Service = {
      name: 'proxy',
      start: () =>
        Promise.resolve({
          done: Promise.resolve(),
          condition: () => conditionOf({}),
          stop: (graceMs) => {
            graces.push(graceMs);
            return Promise.resolve();
          },
        }),
    };
    const waits: Service = {
      name: 'node',
      start: (stopping) =>
        new Promise((_resolve, reject) => {
          stopping?.addEventListener('abort', () => {
            reject(new Error('stopped'));
          });
        }),
    };
    const supervisor = new Supervisor([serves, waits], { ...options, foundations: new Set() });
    const starting = supervisor.start();
    await firstValueFrom(supervisor.status.pipe(filter((status) => status.get('proxy') === 'ready')));
    await supervisor.stop(1000, 'succeeded');
    await expect(starting).rejects.toThrow('stopped');
    expect(graces).toEqual([1000]);
  });

  it('stops all at once when a successor has taken their place, and is hurried by a second stop', async () => {
    const stops: string[] = [];
    const service = (name: string): Service => {
      let resolve: () => void = () => undefined;
      const promise = new Promise<void>((done) => {
        resolve = done;
      });
      return {
        name,
        start: () =>
          Promise.resolve({
            done: promise,
            condition: () => conditionOf({}),
            stop: (graceMs, succession) => {
              stops.push(`${name} ${graceMs} ${succession ?? ''}`);
              if (graceMs === 0) resolve();
              return promise;
            },
          }),
      };
    };
    const supervisor = new Supervisor([service('auth'), service('node')], {
      ...options,
      foundations: new Set(['auth']),
    });
    await supervisor.start();
    const stopped = supervisor.stop(9, 'succeeded');
    expect(stops).toEqual(['auth 9 succeeded', 'node 9 succeeded']);
    await supervisor.stop(0, 'succeeded');
    await stopped;
    expect(stops.slice(2).sort()).toEqual(['auth 0 succeeded', 'node 0 succeeded']);
  });

  it('restarts a service that breaks', async () => {
    const trace: string[] = [];
    const node = traced('node', trace);
    const supervisor = new Supervisor([node.service], options);
    await supervisor.start();
    const again = firstValueFrom(
      supervisor.status.pipe(filter((s) => s.get('node') === 'ready' && trace.length === 2)),
    );
    node.breakNow();
    await again;
    expect(supervisor.states()).toEqual(new Map([['node', { status: 'serving', notices: [] }]]));
    await supervisor.stop(0);
    expect(trace).toEqual(['start node', 'start node', 'stop node']);
  });

  it('says of each service how it serves, in the order they start', async () => {
    const done = Promise.withResolvers<undefined>();
    const stop = (): Promise<void> => {
      done.resolve(undefined);
      return Promise.resolve();
    };
    const says = (name: string, condition: Condition): Service => ({
      name,
      start: () => Promise.resolve({ done: done.promise, condition: () => condition, stop }),
    });
    const conditions = {
      auth: conditionOf({ refusals: ['the disk is full'] }),
      proxy: conditionOf({ lacks: ['auth is away'] }),
      node: conditionOf({ notices: ['the clocks differ'] }),
    };
    const supervisor = new Supervisor(
      Object.entries(conditions).map(([name, condition]) => says(name, condition)),
      options,
    );
    expect([...supervisor.states().values()]).toEqual(Array(3).fill({ status: 'starting' }));
    await supervisor.start();
    expect([...supervisor.states()]).toEqual(Object.entries(conditions));
    await supervisor.stop(0);
    expect(supervisor.states().get('node')).toMatchObject({ status: 'not serving' });
  });

  it('does not start a broken service again once it is stopping', async () => {
    const trace: string[] = [];
    const node = traced('node', trace);
    const supervisor = new Supervisor([node.service], {
      ...options,
      pause: (_ms, signal) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            resolve();
          });
        }),
    });
    await supervisor.start();
    const down = firstValueFrom(supervisor.status.pipe(filter((s) => s.get('node') === 'restarting')));
    node.breakNow();
    await down;
    expect(supervisor.states().get('node')).toEqual({
      status: 'not serving',
      reason: 'it broke and is started again: lost',
    });
    await supervisor.stop(0);
    expect(trace).toEqual(['start node']);
  });

  it('stops a service that came up when another had failed to', async () => {
    const trace: string[] = [];
    const { service: node } = traced('node', trace);
    let go: () => void = () => undefined;
    const slow: Service = {
      ...node,
      start: (signal) =>
        new Promise<void>((ready) => {
          go = ready;
        }).then(() => node.start(signal)),
    };
    const proxy: Service = { name: 'proxy', start: () => Promise.reject(new Error('port in use')) };
    const supervisor = new Supervisor([slow, proxy], { ...options, foundations: new Set() });
    const starting = supervisor.start();
    let over = false;
    starting.catch(() => undefined).finally(() => (over = true));
    await new Promise((done) => setImmediate(done));
    expect(over).toBe(false);
    go();
    await expect(starting).rejects.toThrow('port in use');
    expect(trace).toEqual(['start node', 'stop node']);
  });

  it('ends the process start when one service cannot start', async () => {
    const trace: string[] = [];
    const bad: Service = { name: 'proxy', start: () => Promise.reject(new Error('EADDRINUSE')) };
    const supervisor = new Supervisor([traced('auth', trace).service, bad], options);
    await expect(supervisor.start()).rejects.toThrow('EADDRINUSE');
    expect(trace).toEqual(['start auth', 'stop auth']);
  });
});
