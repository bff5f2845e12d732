import { afterEach, describe, expect, it } from 'vitest';
import { isIgnored, keepIgnoredSignals, signalsOf } from './ignored-signals.ts';
import { watchInterruption } from './interruption.ts';

describe('the signals of a mask of proc(5)', () => {
  it.each([
    ['0000000000000000', []],
    ['0000000000000001', ['SIGHUP']],
    ['0000000000000006', ['SIGINT', 'SIGQUIT']],
    ['0000000001001000', []], // what the runtime ignores by itself: PIPE, XFSZ
    ['fffffffffffffeff', ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGTSTP', 'SIGUSR1', 'SIGUSR2']],
    ['', []],
    ['0x1', []],
    ['1 2', []],
    ['10000000000000001', []],
  ])('%s: %j', (mask, signals) => {
    expect(signalsOf(mask)).toEqual(signals);
  });
});

describe('a signal that was ignored at the start', () => {
  const before = process.listeners('SIGHUP');
  afterEach(() => {
    keepIgnoredSignals({});
    for (const listener of process.listeners('SIGHUP'))
      if (!before.includes(listener)) process.off('SIGHUP', listener);
  });

  it('is handled by doing nothing, and by nobody else', () => {
    const env: NodeJS.ProcessEnv = { TELEPORT_IGNORED_SIGNALS: '0000000000000001', HOME: '/x' };
    keepIgnoredSignals(env);
    expect(env).toEqual({ HOME: '/x' }); // our children are told nothing
    expect([isIgnored('SIGHUP'), isIgnored('SIGTERM')]).toEqual([true, false]);
    const heard: string[] = [];
    const watching = watchInterruption((signal) => heard.push(signal));
    process.emit('SIGHUP', 'SIGHUP');
    expect(heard).toEqual([]);
    process.emit('SIGQUIT', 'SIGQUIT');
    expect(heard).toEqual(['SIGQUIT']);
    watching.stop();
  });
});
