import { setImmediate as turn } from 'node:timers/promises';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { CodedError } from '../base/errors.ts';
import type { AuditEvent } from '../domain/audit-event.ts';
import type { SessionOpen, SessionRequest } from '../ssh/cert-server.ts';
import type { ExitStatus, WindowSize } from '../ssh/channel-types.ts';
import type { LaunchOptions } from './launch.ts';
import { Session } from './session.ts';
import { noRecordings, type SessionRecordings } from './recording/session-recordings.ts';
import type { SessionContext } from './session-context.ts';
import { testAudit, testChannel, testSubject } from './testing.ts';

/** The program of a session, as `launch` gives it: the test says when it ends. */
function fakeProgram() {
  const seen = { sizes: [] as WindowSize[], signals: [] as string[], calls: [] as string[] };
  const ended = Promise.withResolvers<ExitStatus>();
  const output = Promise.withResolvers<undefined>();
  const cut = Promise.withResolvers<string>();
  const launched = {
    process: {
      ended: ended.promise,
      signal: (name: string) => Promise.resolve(seen.signals.push(name) === 1),
      hangUp: (graceMs: number) => {
        seen.calls.push(`hangUp ${graceMs}`);
        ended.resolve({ status: 'signalled', signal: 'HUP', coreDumped: false, message: '' });
        output.resolve(undefined);
        return Promise.resolve();
      },
    },
    resize: (size: WindowSize) => seen.sizes.push(size),
    cut: cut.promise,
    outputDone: () => {
      seen.calls.push('outputDone');
      return output.promise;
    },
    stopOutput: () => seen.calls.push('stopOutput'),
    close: () => seen.calls.push('close'),
  };
  return { launched, seen, ended, output, cut };
}
interface Launching {
  make: (options: LaunchOptions) => Promise<unknown>;
}
const launching = vi.hoisted((): Launching => ({ make: () => new Promise(() => undefined) }));
vi.mock(import('./launch.ts'), () => ({
  launch: ((_context: unknown, options: LaunchOptions) => launching.make(options)) as never,
}));
beforeEach(() => {
  launching.make = () => new Promise(() => undefined);
});

const size: WindowSize = { columns: 80, rows: 24, widthPixels: 0, heightPixels: 0 };
const exited = { status: 'exited', code: 3 } as const;

/** A session that was asked for `command`, with a terminal or without. */
async function begun({
  terminal = false,
  emit,
  recordings = noRecordings,
}: {
  terminal?: boolean;
  emit?: (event: AuditEvent) => Promise<void>;
  recordings?: SessionRecordings;
} = {}) {
  const program = fakeProgram();
  const given: LaunchOptions[] = [];
  const { audit, events, world, sink } = testAudit(emit);
  const made = testChannel();
  launching.make = (options) => {
    given.push(options);
    return Promise.resolve(program.launched);
  };
  let answer: (request: SessionRequest) => void = () => undefined;
  const session = new Session(
    {
      nameSession: () => ({ id: world.uuid() }),
      ...{ world, sink, audit, subject: testSubject, libc: { status: 'loaded' }, labels: () => ({}) },
      recordings,
      ...{ acceptsVariable: () => true, mayLendAgent: () => true, connection: { permits: { pty: true } } },
      ...{ idleMs: () => 0, liveSessions: { begin: () => () => undefined } },
    } as unknown as SessionContext,
    {
      accept: (onRequest: typeof answer) => {
        answer = onRequest;
        return made.channel;
      },
    } as unknown as SessionOpen,
  );
  const ask = (request: object): Promise<string> =>
    new Promise((resolve) => {
      answer({
        ...request,
        accept: () => {
          resolve('accepted');
        },
        reject: () => {
          resolve('rejected');
        },
      } as unknown as SessionRequest);
    });
  if (terminal) await ask({ type: 'pty', term: 'xterm', modes: new Map([[1, 2]]), size });
  let over = false;
  void session.ended.then(() => (over = true));
  const run = async (): Promise<void> => {
    expect(await ask({ type: 'exec', command: 'make' })).toBe('accepted');
    await turn();
  };
  const names = (): string[] => events.map(({ event }) => event);
  return { ...{ session, ask, run, made, program, given, events, names, sink }, isOver: () => over };
}

describe('a program that ends', () => {
  it('has its status told at once, and its end on record when its output has ended', async () => {
    const { session, run, made, program, names, events, isOver } = await begun();
    await run();
    expect(names()).toEqual(['session.start']);
    program.ended.resolve(exited);
    await turn();
    expect([made.seen.exit, isOver()]).toEqual([exited, false]);
    expect(names()).toEqual(['session.start']);
    expect(program.seen.calls).toEqual(['outputDone']);
    program.output.resolve(undefined);
    await session.ended;
    expect(program.seen.calls).toEqual(['outputDone', 'close']);
    expect(names()).toEqual(['session.start', 'exec', 'session.end', 'session.data']);
    expect(events[1]).toMatchObject({ exitCode: '3', command: 'make' });
    expect(made.seen.stderr).toBe('');
  });

  it('is given what was asked for before it began', async () => {
    const { run, ask, given } = await begun({ terminal: true });
    await ask({ type: 'env', name: 'LANG', value: 'C' });
    await ask({ type: 'agent-forwarding' });
    // Once lent it stays lent.
    await ask({ type: 'agent-forwarding' });
    await run();
    expect(given).toMatchObject([
      {
        lendsAgent: true,
        terminal: { term: 'xterm', modes: new Map([[1, 2]]) },
        variables: new Map([['LANG', 'C']]),
      },
    ]);
    expect(given[0]?.size()).toEqual(size);
    await ask({ type: 'window-change', size: { ...size, columns: 100 } });
    expect(given[0]?.size()).toMatchObject({ columns: 100 });
    const plain = await begun();
    await plain.run();
    expect(plain.given).toMatchObject([{ lendsAgent: false, terminal: undefined }]);
  });
});

describe('a program that is ended', () => {
  it('when its client leaves, is hung up, and told nothing of how', async () => {
    const { session, run, made, program, names } = await begun();
    await run();
    made.leave();
    await session.ended;
    expect(program.seen.calls.slice(0, 2)).toEqual(['close', 'hangUp 2000']);
    expect(made.seen.exit).toMatchObject({ status: 'signalled', signal: 'HUP' });
    expect(names()).toEqual(['session.start', 'exec', 'session.end', 'session.data']);
  });

  it.each([
    ['what it does cannot be put on record', 'ended: no audit'],
    ['it is locked', 'locked'],
  ])('when %s, says why to its person and to the audit', async (_what, why) => {
    const { session, run, made, program, events } = await begun();
    await run();
    if (why === 'locked') session.endFor(why);
    else program.cut.resolve('no audit');
    await session.ended;
    expect(program.seen.calls.slice(0, 2)).toEqual(['close', 'hangUp 2000']);
    expect(made.seen).toMatchObject({ stderr: `${why}\n`, exit: { status: 'exited', code: 255 } });
    expect(events[1]).toMatchObject({ event: 'exec', exitCode: '255', exitError: why });
  });
});

describe('a session that cannot be put on record', () => {
  const refusing = (code: 'no_space' | 'unavailable' | 'bug') => (event: AuditEvent) =>
    event.event !== 'session.start'
      ? Promise.resolve()
      : Promise.reject(
          code === 'bug' ? new TypeError('x is undefined') : new CodedError(code, 'the disk is full'),
        );
  const lead = 'Failed to launch: the session cannot be recorded in the audit log: ';
  it.each([
    ['no_space', `${lead}the disk is full.\n`, []],
    // It may be on record all the same: then its end is, too.
    ['unavailable', `${lead}the disk is full.\n`, ['exec', 'session.end', 'session.data']],
    ['bug', `${lead}an internal error, which the log of the server has.\n`, []],
  ] as const)('(%s) starts nothing, and its person is told', async (code, told, names) => {
    const one = await begun({ emit: refusing(code) });
    await one.run();
    await one.session.ended;
    expect(one.given).toEqual([]);
    expect(one.made.seen).toMatchObject({ stderr: told, exit: { status: 'exited', code: 255 } });
    expect(one.names()).toEqual(names);
    expect(one.sink.lines.some((line) => line.startsWith('error a session failed'))).toBe(code === 'bug');
  });
});

describe('a session that is recorded', () => {
  const kept = { mode: 'node', chunks: 1, head: 'aa', bytes: 5, lostBytes: 0 };
  it.each([
    [exited, 'exit 3'],
    [{ status: 'signalled', signal: 'KILL', coreDumped: false, message: '' }, 'signal KILL'],
    [{ status: 'unknown' }, 'unknown'],
  ] as const)('has its exit in the recording: %j', async (exit, text) => {
    const calls: string[] = [];
    const recording = {
      end: (how: string) => Promise.resolve(calls.push(how)).then(() => kept),
      told: () => calls.push('told'),
    };
    const recordings = { begin: () => Promise.resolve(recording) } as unknown as SessionRecordings;
    const one = await begun({ terminal: true, recordings });
    await one.run();
    expect(one.given).toMatchObject([{ recording }]);
    one.program.ended.resolve(exit);
    one.program.output.resolve(undefined);
    await one.session.ended;
    // The files of a recording are kept until the audit has the end of its session.
    expect(calls).toEqual([text, 'told']);
    const end = one.events.find(({ event }) => event === 'session.end');
    expect(end).toMatchObject({ session_recording: 'node', recording_head: 'aa', recording_bytes: 5 });
  });

  it('does not start its program where it cannot be', async () => {
    const refused = new CodedError('no_space', 'the disk is full');
    const recordings = { begin: () => Promise.reject(refused) } as unknown as SessionRecordings;
    const one = await begun({ terminal: true, recordings });
    await one.run();
    await one.session.ended;
    expect(one.given).toEqual([]);
    expect(one.made.seen.stderr).toMatch(
      /^Failed to launch: the session cannot be recorded, and may not begin/,
    );
    expect(one.names()).toContain('session.recording.failed');
  });
});

describe('what is asked of a program that runs', () => {
  it('a signal, is answered as the machine took it', async () => {
    const { run, ask, program } = await begun();
    await run();
    expect(await ask({ type: 'signal', name: 'TERM' })).toBe('accepted');
    expect(await ask({ type: 'signal', name: 'INT' })).toBe('rejected');
    expect(program.seen.signals).toEqual(['TERM', 'INT']);
  });

  it('another size of its terminal, is given to it and put on record', async () => {
    const { run, ask, program, events } = await begun({ terminal: true });
    await run();
    expect(await ask({ type: 'window-change', size: { ...size, columns: 120 } })).toBe('accepted');
    await turn();
    expect(program.seen.sizes).toEqual([{ ...size, columns: 120 }]);
    expect(events.at(-1)).toMatchObject({ event: 'resize', size: '120:24' });
    const without = await begun();
    await without.run();
    expect(await without.ask({ type: 'window-change', size })).toBe('accepted');
    await turn();
    expect(without.names()).toEqual(['session.start']);
  });

  it('no more output, also when it was asked before the program ran', async () => {
    const running = await begun();
    await running.run();
    await running.ask({ type: 'end-of-write' });
    expect(running.program.seen.calls).toEqual(['stopOutput']);
    expect(running.made.seen.outputDropped).toBe(true);
    const early = await begun();
    await early.ask({ type: 'end-of-write' });
    await early.run();
    expect(early.program.seen.calls).toEqual(['stopOutput']);
    const never = await begun();
    await never.run();
    expect(never.program.seen.calls).toEqual([]);
  });

  it('a word to its person, begins a line on a terminal and ends one anywhere', async () => {
    const raw = await begun({ terminal: true });
    raw.session.tell('locked');
    expect(raw.made.seen.stderr).toBe('locked\r\n');
    const plain = await begun();
    plain.session.tell('locked');
    expect(plain.made.seen.stderr).toBe('locked\n');
  });
});

it('a session whose channel fails ends all the same, with a status, and the log has the failure', async () => {
  const { session, run, made, program, sink } = await begun();
  const finish = made.channel.finish.bind(made.channel);
  let failed = false;
  made.channel.finish = (exit) => {
    if (failed) return finish(exit);
    failed = true;
    throw new TypeError('the channel is undefined');
  };
  made.channel.tellExit = () => undefined;
  await run();
  program.ended.resolve(exited);
  program.output.resolve(undefined);
  await session.ended;
  expect(made.seen.exit).toEqual({ status: 'exited', code: 255 });
  expect(sink.lines).toEqual([expect.stringMatching(/^error a session failed .*the channel is undefined/)]);
});

it('a session on which something was started does not end with its channel alone', async () => {
  launching.make = () => new Promise(() => undefined);
  const { run, made, isOver, session } = await begun();
  launching.make = () => new Promise(() => undefined);
  await run();
  made.leave();
  for (let n = 0; n < 5; n++) await turn();
  expect(isOver()).toBe(false);
  expect(session.sessionId).not.toBe('');
});
