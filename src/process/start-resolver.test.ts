import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ProgramEnd } from '../machine/exit-status.ts';
import type { ProgramOrder, StartedProgram } from '../machine/program-starter.ts';
import { startResolver } from './start-resolver.ts';

const starter = vi.hoisted(() => ({
  start: undefined as unknown as (
    order: ProgramOrder,
    of: object,
    unwanted?: AbortSignal,
  ) => Promise<unknown>,
}));
vi.mock('./own-starter.ts', () => ({ ownStarter: () => Promise.resolve(starter) }));

/** A process that is not there: its pipes and its end are the test's. */
function program() {
  const [stdin, stdout] = [new PassThrough(), new PassThrough()];
  const unref = vi.fn();
  Object.assign(stdin, { unref });
  Object.assign(stdout, { unref });
  const ended = Promise.withResolvers<ProgramEnd>();
  const orders: { order: ProgramOrder; unwanted: AbortSignal | undefined }[] = [];
  starter.start = (order, _of, unwanted) => {
    orders.push({ order, unwanted });
    return Promise.resolve<StartedProgram>({
      pid: 4711,
      streams: [stdin, stdout, undefined],
      ended: ended.promise,
    });
  };
  return { stdin, stdout, unref, end: ended.resolve, orders };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
let signalled: [number, unknown][];
beforeEach(() => {
  signalled = [];
  vi.spyOn(process, 'kill').mockImplementation((pid, signal) => {
    signalled.push([pid, signal]);
    return true;
  });
  vi.stubEnv('LANG', 'sv_SE.UTF-8');
  vi.stubEnv('LOCALDOMAIN', undefined);
  vi.stubEnv('SECRET', 'x');
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

describe('the process that looks up names', () => {
  it('has what getaddrinfo obeys and no other variable, threads, and a session of its own', async () => {
    const { orders } = program();
    startResolver(['teleport', 'look-up-names']);
    await settle();
    const { order } = orders[0] ?? {};
    const environment = Object.fromEntries(order?.environment ?? []);
    expect(environment).toMatchObject({ LANG: 'sv_SE.UTF-8', UV_THREADPOOL_SIZE: '64' });
    expect(environment).not.toHaveProperty('SECRET');
    expect(environment).not.toHaveProperty('LOCALDOMAIN');
    expect(order).toMatchObject({
      argv: ['teleport', 'look-up-names'],
      folder: '/',
      streams: ['input', 'output', 'none'],
      newSession: true,
    });
  });

  it('reads what was asked before it ran, answers, and holds up no end of ours', async () => {
    const { stdin, stdout, unref } = program();
    const resolver = startResolver(['x']);
    resolver.input.write('a question\n');
    await settle();
    await vi.waitFor(() => {
      expect(String(stdin.read())).toBe('a question\n');
    });
    expect(unref).toHaveBeenCalledTimes(2);
    stdout.write('an answer\n');
    await vi.waitFor(() => {
      expect(String(resolver.output.read())).toBe('an answer\n');
    });
  });

  it.each<[ProgramEnd, string]>([
    [{ status: 'exited', code: 3 }, 'its process ended (status 3)'],
    [{ status: 'killed', signal: 9, coreDumped: false }, 'its process ended (signal 9)'],
    [{ status: 'lost' } as unknown as ProgramEnd, 'its process ended (it is not known how)'],
  ])('that ended says how, when all that it wrote was read: %j', async (how, told) => {
    const { stdin, stdout, end } = program();
    const resolver = startResolver(['x']);
    let ended: string | undefined;
    void resolver.ended.then((reason) => {
      ended = reason;
    });
    await settle();
    end(how);
    await settle();
    expect(ended).toBeUndefined();
    stdout.end('the last answer\n');
    expect(await text(resolver.output)).toBe('the last answer\n');
    expect(await resolver.ended).toBe(told);
    expect(stdin.destroyed).toBe(true);
  });

  it('whose pipe breaks has ended, and breaks nothing here', async () => {
    const { stdin, stdout, end } = program();
    const resolver = startResolver(['x']);
    await settle();
    stdin.emit('error', new Error('EPIPE'));
    stdout.emit('error', new Error('EIO'));
    end({ status: 'exited', code: 0 });
    expect(await resolver.ended).toBe('its process ended (status 0)');
    expect([stdin.destroyed, stdout.destroyed]).toEqual([true, true]);
  });

  it('is killed with all of its group while it runs, and never after', async () => {
    const { stdout, end, orders } = program();
    const resolver = startResolver(['x']);
    await settle();
    expect(orders[0]?.unwanted?.aborted).toBe(false);
    resolver.kill();
    expect(signalled).toEqual([[-4711, 'SIGKILL']]);

    const second = program();
    const ended = startResolver(['x']);
    await settle();
    second.end({ status: 'exited', code: 0 });
    second.stdout.end();
    ended.output.resume();
    await ended.ended;
    ended.kill();
    expect(signalled).toHaveLength(1);
    end({ status: 'exited', code: 0 });
    stdout.end();
  });

  it('that waits for its turn is dropped when nobody wants it any more', async () => {
    const { orders } = program();
    const resolver = startResolver(['x']);
    resolver.kill();
    await settle();
    expect(orders[0]?.unwanted?.aborted).toBe(true);
  });

  it('that cannot be started says why, and answers nothing', async () => {
    starter.start = () => Promise.reject(new Error('x: ENOENT'));
    const resolver = startResolver(['x']);
    expect(await resolver.ended).toBe('x: ENOENT');
    expect(await text(resolver.output)).toBe('');
  });
});
