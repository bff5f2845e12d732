import { describe, expect, it } from 'vitest';
import { CodedError } from '../../base/errors.ts';
import { silentLog } from '../../base/log-sink.ts';
import { Lifecycle } from './lifecycle.ts';
import type { Successor } from './successor.ts';

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A lifecycle whose successors come when the test says so. */
function trial({ standsAlone }: { standsAlone?: string } = {}) {
  const started: { come: (s: Successor) => void; fail: (e: Error) => void; cancelled: AbortSignal }[] = [];
  const signals: string[] = [];
  const told: string[] = [];
  let newer: { pid: number; startTime: string }[] = [];
  const lifecycle = new Lifecycle({
    sink: silentLog,
    standsAlone,
    startSuccessor: (cancelled) =>
      new Promise((come, fail) => {
        started.push({ come, fail, cancelled });
      }),
    tell: {
      reloading: () => told.push('reloading'),
      failed: (e) => told.push(e instanceof CodedError ? `failed: ${e.message}` : 'failed'),
      succeeded: () => told.push('succeeded'),
      main: () => told.push('main'),
    },
    older: () => [{ pid: 1_000_001, startTime: '1' }],
    newer: () => newer,
    signal: (ref, name) => signals.push(`${name} ${ref.pid}`),
  });
  let endings = 0;
  void lifecycle.ending.then(() => endings++);
  let gone: () => void = () => undefined;
  const successor = (pid = process.pid): Successor => ({
    pid,
    startTime: '5',
    ended: new Promise((resolve) => {
      gone = resolve;
    }),
  });
  return {
    lifecycle,
    started,
    signals,
    told,
    successor,
    gone: () => {
      gone();
    },
    endings: () => endings,
    setNewer: (pids: number[]) => (newer = pids.map((pid) => ({ pid, startTime: '9' }))),
  };
}

describe('a process that none can take over from', () => {
  it('refuses HUP and USR2, and goes on', async () => {
    const t = trial({ standsAlone: 'this is process 1' });
    t.lifecycle.serving();
    t.lifecycle.reload();
    t.lifecycle.fork();
    await settle();
    expect(t.started).toHaveLength(0);
    expect(t.told).toEqual([
      'failed: SIGHUP is refused: this is process 1',
      'failed: SIGUSR2 is refused: this is process 1',
    ]);
    expect(t.endings()).toBe(0);
    t.lifecycle.drain('SIGQUIT');
    expect(await t.lifecycle.ending).toMatchObject({ how: 'drain', succeeded: false });
  });
});

describe('a HUP', () => {
  it('starts a successor, then drains', async () => {
    const t = trial();
    t.lifecycle.serving();
    t.lifecycle.reload();
    expect(t.started).toHaveLength(1);
    t.started[0]?.come(t.successor());
    await settle();
    expect(await t.lifecycle.ending).toEqual({ how: 'drain', reason: 'SIGHUP', succeeded: true });
    expect(t.told).toEqual(['reloading', 'succeeded']);
  });

  it('before the services are ready is obeyed when they are', () => {
    const t = trial();
    t.lifecycle.reload();
    expect(t.started).toHaveLength(0);
    t.lifecycle.serving();
    expect(t.started).toHaveLength(1);
  });

  it('while a service waits for what may never come is obeyed at once, and again after a failure', async () => {
    const t = trial();
    t.lifecycle.reload();
    expect(t.started).toHaveLength(0);
    t.lifecycle.waits(true);
    expect(t.started).toHaveLength(1);
    t.started[0]?.fail(new Error('the token is wrong again'));
    await settle();
    expect(t.told).toEqual(['reloading', 'failed']);
    expect(t.endings()).toBe(0);
    t.lifecycle.reload();
    t.started[1]?.come(t.successor());
    await settle();
    expect(await t.lifecycle.ending).toEqual({ how: 'drain', reason: 'SIGHUP', succeeded: true });
  });

  it('during such a wait that then fails lets this process go on to serve', async () => {
    const t = trial();
    t.lifecycle.waits(true);
    t.lifecycle.reload();
    t.lifecycle.waits(false);
    t.started[0]?.fail(new Error('no'));
    await settle();
    t.lifecycle.serving();
    t.lifecycle.reload();
    expect(t.started).toHaveLength(2);
  });

  it('whose successor fails leaves this process serving', async () => {
    const t = trial();
    t.lifecycle.serving();
    t.lifecycle.reload();
    t.started[0]?.fail(new Error('bad configuration'));
    await settle();
    expect(t.told).toEqual(['reloading', 'failed']);
    expect(t.endings()).toBe(0);
    t.lifecycle.reload();
    expect(t.started).toHaveLength(2);
  });

  it('while another is under way is remembered once: the successor gets it', async () => {
    const t = trial();
    t.lifecycle.serving();
    for (let i = 0; i < 5; i++) t.lifecycle.reload();
    expect(t.started).toHaveLength(1);
    t.started[0]?.come(t.successor(77));
    await settle();
    expect(t.signals).toEqual(['SIGHUP 77']);
  });

  it('while another is under way that then fails is obeyed', async () => {
    const t = trial();
    t.lifecycle.serving();
    t.lifecycle.reload();
    t.lifecycle.reload();
    t.started[0]?.fail(new Error('no'));
    await settle();
    expect(t.started).toHaveLength(2);
  });

  it('to a process that drains is for its successor while that lives', async () => {
    const t = trial();
    t.lifecycle.serving();
    t.lifecycle.reload();
    t.started[0]?.come(t.successor(999_999_999));
    await settle();
    t.lifecycle.reload();
    expect(t.signals).toEqual([]);
    expect(t.started).toHaveLength(1);
  });
});

describe('a USR2', () => {
  it('while a service waits is for when all serve: two would want one address', () => {
    const t = trial();
    t.lifecycle.waits(true);
    t.lifecycle.fork();
    expect(t.started).toHaveLength(0);
    t.lifecycle.serving();
    expect(t.started).toHaveLength(1);
  });

  it('starts a process beside this one, which goes on', async () => {
    const t = trial();
    t.lifecycle.serving();
    t.lifecycle.fork();
    t.started[0]?.come(t.successor());
    await settle();
    expect(t.endings()).toBe(0);
    t.lifecycle.reload();
    expect(t.started).toHaveLength(2);
  });

  it('makes this process the main one again when the other dies, and no newer one lives', async () => {
    const t = trial();
    t.lifecycle.serving();
    t.lifecycle.fork();
    t.started[0]?.come(t.successor());
    await settle();
    t.setNewer([12]);
    t.gone();
    await settle();
    expect(t.told).not.toContain('main');
    t.setNewer([]);
    t.lifecycle.fork();
    t.started[1]?.come(t.successor());
    await settle();
    t.gone();
    await settle();
    expect(t.told).toContain('main');
  });
});

describe('a TERM', () => {
  it('ends this process and the older generations', async () => {
    const t = trial();
    t.lifecycle.serving();
    t.lifecycle.stop('SIGTERM');
    t.lifecycle.stop('SIGTERM');
    expect(t.signals).toEqual(['SIGTERM 1000001']);
    expect(await t.lifecycle.ending).toEqual({ how: 'at-once', reason: 'SIGTERM' });
    await t.lifecycle.atOnce;
  });

  it('while a successor is started ends that too', async () => {
    const t = trial();
    t.lifecycle.serving();
    t.lifecycle.reload();
    t.lifecycle.stop('SIGTERM');
    expect(t.started[0]?.cancelled.aborted).toBe(true);
    t.started[0]?.come(t.successor(77));
    await settle();
    expect(t.signals).toEqual(['SIGTERM 1000001', 'SIGTERM 77']);
  });

  it('that asks for a drain before anybody is served ends at once, and this process alone', async () => {
    const { lifecycle, signals } = trial();
    lifecycle.drain('SIGQUIT');
    expect(await lifecycle.ending).toEqual({ how: 'at-once', reason: 'SIGQUIT' });
    await lifecycle.atOnce;
    expect(signals).toEqual([]);
  });
  it('that asks for a drain while a successor is started before anybody is served ends both at once', async () => {
    const t = trial();
    t.lifecycle.waits(true);
    t.lifecycle.reload();
    t.lifecycle.drain('SIGQUIT');
    expect(t.started[0]?.cancelled.aborted).toBe(true);
    expect(await t.lifecycle.ending).toEqual({ how: 'at-once', reason: 'SIGQUIT' });
  });
  it('in the middle of a drain cuts it short', async () => {
    const t = trial();
    t.lifecycle.serving();
    t.lifecycle.drain('SIGQUIT');
    expect(await t.lifecycle.ending).toEqual({ how: 'drain', reason: 'SIGQUIT', succeeded: false });
    t.lifecycle.stop('SIGTERM');
    await t.lifecycle.atOnce;
  });
});
