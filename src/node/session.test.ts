import { describe, expect, it } from 'vitest';
import type { SessionOpen, SessionRequest } from '../ssh/cert-server.ts';
import { noRecordings } from './recording/session-recordings.ts';
import { SharedSessions } from './joining/shared-terminal.ts';
import type { SessionContext } from './session-context.ts';
import { Session } from './session.ts';
import { testAudit, testChannel, testSubject } from './testing.ts';

type Wish = Partial<Pick<SessionContext, 'acceptsVariable' | 'mayLendAgent' | 'libc'>> & { pty?: boolean };
/** A session on which nothing was started yet. */
function open(wish: Wish = {}) {
  const { audit, events, world, sink } = testAudit();
  const made = testChannel();
  let answer: (request: SessionRequest) => void = () => undefined;
  const { pty = true, ...rest } = wish;
  const context = {
    nameSession: () => ({ id: world.uuid() }),
    ...{ world, sink, audit, subject: testSubject },
    libc: { status: 'loaded' },
    recordings: noRecordings,
    shared: new SharedSessions(),
    roleNames: () => [],
    acceptsVariable: () => true,
    mayLendAgent: () => true,
    connection: { permits: { pty } },
    filePrograms: { sftp: '/lib/sftp-server', scp: () => '/bin/scp' },
    ...rest,
  } as unknown as SessionContext;
  const session = new Session(context, {
    accept: (onRequest: typeof answer) => {
      answer = onRequest;
      return made.channel;
    },
  } as unknown as SessionOpen);
  /** What becomes of a request; undefined while nobody has said. */
  const ask = (request: object): string | undefined => {
    let outcome: string | undefined;
    answer({
      ...request,
      accept: () => (outcome = 'accepted'),
      reject: (why?: string) => (outcome = why ?? 'rejected'),
    } as unknown as SessionRequest);
    return outcome;
  };
  const outcomeOf = (request: object): Promise<string> =>
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
  return { session, ask, outcomeOf, made, events };
}
const size = { columns: 80, rows: 24, widthPixels: 0, heightPixels: 0 };
const pty = { type: 'pty', term: 'xterm', modes: new Map<number, number>(), size };

describe('the variables of a client', () => {
  const env = (name: string, value: string) => ({ type: 'env', name, value });
  it('are 512 at most, however often one of them is named', () => {
    const { ask } = open();
    const outcomes = Array.from({ length: 514 }, (_, n) => ask(env(`V${n}`, 'x')));
    expect(outcomes.slice(0, 512)).toEqual(Array(512).fill('accepted'));
    expect(outcomes.slice(512)).toEqual(['rejected', 'rejected']);
  });
  it('are 256 KiB at most together, counting those that were refused or named before', () => {
    const { ask } = open();
    const value = 'x'.repeat(64 * 1024 - 2);
    const outcomes = Array.from({ length: 4 }, () => ask(env('V0', value)));
    // Less than the whole: so much itself is too much.
    expect(outcomes).toEqual(['accepted', 'accepted', 'accepted', 'rejected']);
    expect(ask(env('V1', 'x'))).toBe('rejected');
  });
  it('are each no longer than the system takes', () => {
    const longest = 'x'.repeat(128 * 1024 - 1 - 'V='.length);
    expect(open().ask(env('V', longest))).toBe('accepted');
    expect(open().ask(env('V', `${longest}x`))).toBe('rejected');
    // Bytes, not characters.
    expect(open().ask(env('V', 'ä'.repeat(64 * 1024)))).toBe('rejected');
  });
  it('are those that may be set', () => {
    const { ask } = open({ acceptsVariable: (name) => name === 'LANG' });
    expect([ask(env('LANG', 'C')), ask(env('LD_PRELOAD', '/x'))]).toEqual(['accepted', 'rejected']);
  });
});

describe('a terminal', () => {
  it('is given once, where the certificate has it and the machine can make one', () => {
    const { ask } = open();
    expect(ask(pty)).toBe('accepted');
    expect(ask(pty)).toBe('there is a terminal already');
    expect(open({ pty: false }).ask(pty)).toBe('terminals are not allowed by the certificate');
    const without = open({ libc: { status: 'unavailable', reason: 'no C library' } });
    expect(without.ask(pty)).toBe('no C library');
  });
  it('is not given to what has begun', () => {
    const { ask } = open();
    ask({ type: 'subsystem', name: 'none' });
    expect(ask(pty)).toBe('there is a terminal already');
  });
  it('may change its size at any time, even where there is none', () => {
    expect(open().ask({ type: 'window-change', size })).toBe('accepted');
  });
});

describe('other requests before a start', () => {
  it('lend an agent when it may be lent', () => {
    expect(open().ask({ type: 'agent-forwarding' })).toBe('accepted');
    expect(open({ mayLendAgent: () => false }).ask({ type: 'agent-forwarding' })).toBe('rejected');
  });
  it('stop the output, and are refused when nobody knows them', () => {
    const { ask, made } = open();
    expect(ask({ type: 'end-of-write' })).toBe('accepted');
    expect(made.seen.outputDropped).toBe(true);
    expect(ask({ type: 'unknown' })).toBe('rejected');
  });
  it('send no signal to a program that there is not', async () => {
    const { outcomeOf } = open();
    expect(await outcomeOf({ type: 'signal', name: 'TERM' })).toBe('rejected');
  });
});

describe('a channel', () => {
  it('on which nothing was started ends when the client closes it, with no event', async () => {
    const { session, made, events } = open();
    let over = false;
    void session.ended.then(() => (over = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(over).toBe(false);
    made.leave();
    await session.ended;
    expect(events).toEqual([]);
  });
  it('that asks for a subsystem there is not is told so, closed, and on record', async () => {
    const { session, ask, made, events } = open();
    expect(ask({ type: 'subsystem', name: 'netconf' })).toBe('unrecognized subsystem: netconf');
    await session.ended;
    expect(made.seen.exit).toEqual({ status: 'unknown' });
    expect(events).toMatchObject([
      { event: 'subsystem', code: 'T3001E', name: 'netconf', exitError: 'unrecognized subsystem: netconf' },
    ]);
  });
});
