import { describe, expect, it } from 'vitest';
import type { SpawnCall } from './libc-spawn.ts';
import { type ProgramOrder, ProgramStarter } from './program-starter.ts';

const order = (name: string): ProgramOrder => ({
  argv: [`/bin/${name}`],
  environment: [['A', 'b']],
  streams: ['none'],
  newSession: true,
});

/** A system that starts nothing, and notes in which turn of the event loop it was asked to. */
function bench(answer: (call: SpawnCall) => { pid: number } | { errno: number }) {
  const state = { turn: 0, running: true };
  const calls: { turn: number; argv: readonly string[] }[] = [];
  const count = (): void => {
    state.turn++;
    if (state.running) setImmediate(count);
  };
  setImmediate(count);
  const starter = new ProgramStarter({
    pipe: () => {
      throw new Error('no pipes here');
    },
    processes: {
      spawn: (call) => {
        calls.push({ turn: state.turn, argv: call.argv });
        return answer(call);
      },
      reap: () => 0,
    },
  });
  return { starter, calls, stop: () => (state.running = false) };
}

describe('starting programs', () => {
  it('is one in a turn of the event loop, by turns of those it is done for', async () => {
    let pid = 1000;
    const { starter, calls, stop } = bench(() => ({ pid: pid++ }));
    const [many, one] = [{}, {}];
    const all = [
      ...Array.from({ length: 50 }, (_, i) => starter.start(order(`many-${i}`), many)),
      starter.start(order('one'), one),
    ];
    const started = await Promise.all(all);
    stop();
    process.emit('SIGCHLD');
    expect(await Promise.all(started.map(({ ended }) => ended))).toEqual(
      Array(51).fill({ status: 'exited', code: 0 }),
    );
    const turns = calls.map(({ turn }) => turn);
    expect(new Set(turns).size).toBe(51);
    expect(calls.findIndex(({ argv }) => argv[0] === '/bin/one')).toBe(1);
  });
  it('starts nothing for a connection that is gone, and opens nothing for it', async () => {
    const { starter, calls, stop } = bench(() => ({ pid: 1000 }));
    const leaving = new AbortController();
    // The bench throws where a pipe is opened.
    const piped = { ...order('true'), streams: ['input'] } as const;
    const starts = [1, 2, 3].map(() => starter.start(piped, {}, leaving.signal));
    leaving.abort();
    for (const start of starts)
      await expect(start).rejects.toMatchObject({
        code: 'unavailable',
        message: 'the client that asked for the program left before it was started',
      });
    stop();
    expect(calls).toEqual([]);
  });
  it('gives a script without an interpreter to the shell', async () => {
    const { starter, calls, stop } = bench(({ argv }) =>
      argv[0] === '/bin/sh' ? { pid: 1000 } : { errno: 8 },
    );
    const { ended } = await starter.start(order('script'), {});
    stop();
    process.emit('SIGCHLD');
    await ended;
    expect(calls.map(({ argv }) => argv)).toEqual([['/bin/script'], ['/bin/sh', '/bin/script']]);
  });
  it('names the program and the reason when the system refuses', async () => {
    const { starter, stop } = bench(() => ({ errno: 11 }));
    await expect(starter.start(order('true'), {})).rejects.toMatchObject({
      code: 'unavailable',
      message: '/bin/true: EAGAIN: resource temporarily unavailable',
    });
    stop();
  });
});
