import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { recordingSink } from '../../api/testing.ts';
import type { OwnOutcome, OwnRun } from '../run-own.ts';
import { serviceManager } from './service-manager.ts';

const notify = vi.hoisted(() => ({
  calls: [] as { argv: readonly string[]; run: unknown }[],
  answer: (): Promise<unknown> => Promise.resolve({ failure: undefined, complaint: '' }),
}));
vi.mock('../run-own.ts', () => ({
  runOwn: (argv: readonly string[], run: OwnRun) => {
    notify.calls.push({ argv, run });
    return notify.answer();
  },
}));
const good: OwnOutcome = { failure: undefined, complaint: '' };
const answers = (answer: () => Promise<OwnOutcome>): void => {
  notify.answer = answer;
};
beforeEach(() => {
  notify.calls = [];
  answers(() => Promise.resolve(good));
});
afterEach(() => {
  vi.useRealTimers();
});

const env = { NOTIFY_SOCKET: '/run/notify', WATCHDOG_USEC: '30000000' };
const manage = (variables: NodeJS.ProcessEnv = env) => {
  const sink = recordingSink();
  return { sink, manager: serviceManager(variables, sink) };
};
const told = (): string[][] => notify.calls.map(({ argv }) => argv.slice(1));

describe('what systemd is told', () => {
  it('is told by systemd-notify with the environment of the unit, which has 10 s', async () => {
    const { manager } = manage();
    await manager.stopping();
    expect(notify.calls).toEqual([
      { argv: ['systemd-notify', 'STOPPING=1', 'STATUS=stopping'], run: { env, limitMs: 10_000 } },
    ]);
    expect(manager.listens).toBe(true);
  });

  it('has its status on one line of bounded length', async () => {
    const { manager } = manage();
    await manager.ready('serving,\n  but\tnot all');
    await manager.status('x'.repeat(501));
    expect(told()).toEqual([
      ['READY=1', `MAINPID=${process.pid}`, 'WATCHDOG=1', 'STATUS=serving, but not all'],
      [`STATUS=${'x'.repeat(500)}`],
    ]);
  });

  it('of a reload has the moment, in microseconds of the clock that never steps', async () => {
    const before = process.hrtime.bigint();
    await manage().manager.reloading();
    const after = process.hrtime.bigint();
    const [begins = '', moment = '', status] = told()[0] ?? [];
    expect([begins, status]).toEqual(['RELOADING=1', 'STATUS=starting a new process from what is on disk']);
    const at = BigInt(/^MONOTONIC_USEC=(\d+)$/.exec(moment)?.[1] ?? '0');
    expect(at >= before / 1000n && at <= after / 1000n).toBe(true);
  });

  it('asks for more time in microseconds', async () => {
    await manage().manager.extend(30_000);
    expect(told()).toEqual([['EXTEND_TIMEOUT_USEC=30000000']]);
  });

  it('comes in the order it was said, one at a time', async () => {
    const first = Promise.withResolvers<OwnOutcome>();
    answers(() => first.promise);
    const { manager } = manage();
    const said = [manager.status('a'), manager.status('b')];
    await vi.waitFor(() => {
      expect(told()).toEqual([['STATUS=a']]);
    });
    answers(() => Promise.resolve(good));
    first.resolve(good);
    await Promise.all(said);
    expect(told()).toEqual([['STATUS=a'], ['STATUS=b']]);
  });

  it('that does not arrive is said in our log, with the reason', async () => {
    const { manager, sink } = manage();
    await manager.status('a');
    expect(sink.lines).toEqual([]);
    answers(() => Promise.resolve({ failure: 'systemd-notify failed with status 1', complaint: 'no bus' }));
    await manager.ready('b');
    answers(() => Promise.resolve({ failure: 'it is not there', complaint: '' }));
    await manager.status('c');
    expect(sink.lines).toEqual([
      expect.stringMatching(
        /^warn systemd was not notified .*READY=1 MAINPID=\d+ WATCHDOG=1 STATUS=b.*"systemd-notify failed with status 1 no bus"/,
      ),
      'warn systemd was not notified {"what":"STATUS=c","reason":"it is not there"}',
    ]);
  });

  it.each([{}, { NOTIFY_SOCKET: '' }])('is nothing where nobody listens: %j', async (variables) => {
    vi.useFakeTimers();
    const { manager } = manage({ ...variables, WATCHDOG_USEC: '3000' });
    await manager.ready('a');
    manager.keepAlive(() => true)();
    expect([manager.listens, told(), vi.getTimerCount()]).toEqual([false, [], 0]);
  });
});

describe('the sign of life', () => {
  it('comes three times in the time that is given for it, while the process is alive', async () => {
    vi.useFakeTimers();
    let alive = true;
    const stop = manage().manager.keepAlive(() => alive);
    await vi.advanceTimersByTimeAsync(9_999);
    expect(told()).toEqual([]);
    await vi.advanceTimersByTimeAsync(20_001);
    expect(told()).toEqual([['WATCHDOG=1'], ['WATCHDOG=1'], ['WATCHDOG=1']]);
    alive = false;
    await vi.advanceTimersByTimeAsync(30_000);
    expect(told()).toHaveLength(3);
    alive = true;
    stop();
    await vi.advanceTimersByTimeAsync(30_000);
    expect(told()).toHaveLength(3);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([undefined, '0', 'x'])('is not asked for by a watchdog of %s', (usec) => {
    vi.useFakeTimers();
    const { manager } = manage({ NOTIFY_SOCKET: '/run/notify', WATCHDOG_USEC: usec });
    manager.keepAlive(() => true)();
    expect(vi.getTimerCount()).toBe(0);
    const stop = manager.keepAlive(() => true);
    expect(vi.getTimerCount()).toBe(0);
    stop();
  });
});
