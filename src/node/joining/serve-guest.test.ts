import { setImmediate as turn } from 'node:timers/promises';
import { expect, describe, it } from 'vitest';
import { CodedError } from '../../base/errors.ts';
import type { AuditEvent } from '../../domain/audit-event.ts';
import { joinLogin } from '../../domain/join-session.ts';
import type { JoinMode } from '../../domain/role-joining.ts';
import type { SessionContext } from '../session-context.ts';
import { planOf } from '../session-plan.ts';
import { noLists, testAudit, testChannel, testSubject } from '../testing.ts';
import { JoinWish, serveGuest, type ServedGuest } from './serve-guest.ts';
import { SharedSessions, SharedTerminal } from './shared-terminal.ts';

const sid = '00000000-0000-4000-8000-000000000001';
const size = { columns: 20, rows: 4, widthPixels: 0, heightPixels: 0 };

interface Asked {
  readonly sid?: string;
  readonly mode?: string;
  readonly login?: string;
  readonly may?: readonly JoinMode[];
  readonly command?: string;
  readonly hasTerminal?: boolean;
  readonly isElsewhere?: boolean;
  readonly emit?: (event: AuditEvent) => Promise<void>;
}

function ask(asked: Asked = {}) {
  const test = testAudit(asked.emit);
  const made = testChannel();
  const ended: string[] = [];
  const shared = new SharedTerminal({
    about: { sid, user: 'owner', login: 'root', roleNames: () => [] },
    ...{ size, nextIndex: () => 4, onGuest: () => undefined },
    end: (reason) => ended.push(reason),
  });
  shared.output(Buffer.from('shown before'));
  const all = new SharedSessions();
  all.add(shared);
  let may = new Set<JoinMode>(asked.may ?? ['observer', 'peer', 'moderator']);
  const context = {
    ...test,
    subject: { ...testSubject, login: asked.login ?? 'joe' },
    liveSessions: { ...noLists, isElsewhere: () => asked.isElsewhere === true },
    ...{ shared: all, mayJoin: () => may, onActivity: () => undefined },
  } as unknown as SessionContext;
  const wish = new JoinWish();
  if (asked.sid !== '') wish.keep('TELEPORT_SESSION', asked.sid ?? sid);
  if (asked.mode !== undefined) wish.keep('TELEPORT_JOIN_MODE', asked.mode);
  const cut = Promise.withResolvers<string>();
  let guest: ServedGuest | undefined;
  const { command } = asked;
  const start = command === undefined ? { type: 'shell' as const } : { type: 'exec' as const, command };
  const plan = planOf({ ...start, accept: () => undefined, reject: () => undefined }, undefined, {
    ...{ sftp: '', scp: () => '' },
  });
  if (plan === undefined) throw new Error('nothing to run');
  const served = serveGuest(context, {
    ...{ channel: made.channel, wish, plan, cut: cut.promise },
    size: asked.hasTerminal === false ? undefined : size,
    onJoined: (one) => (guest = one),
  });
  const withdraw = () => (may = new Set());
  return { ...test, served, made, shared, ended, cut, withdraw, guest: () => guest };
}
const some = async (): Promise<void> => {
  for (let i = 0; i < 8; i++) await turn();
};

describe('a session of a client', () => {
  it.each([
    ['without the id of one to join', { sid: '' }],
    ['with an id of its own, as tsh 4.4 names each', { sid: sid.replace('1', '2') }],
    ['that runs a command', { command: 'ls' }],
    ['without a terminal', { hasTerminal: false }],
  ])('%s joins none', async (_, asked) => {
    expect(await ask(asked).served).toBe(false);
  });

  it.each<[string, Asked, RegExp]>([
    [
      'nobody',
      { mode: 'observer', sid: sid.replace('1', '2') },
      /is not found on this node, or you may not join/,
    ],
    [
      'one of another mode',
      { mode: 'moderator', may: ['peer'] },
      /is not found on this node, or you may not join/,
    ],
    ['none at all', { may: [] }, /is not found on this node, or you may not join it in this mode/],
    ['in no mode that there is', { mode: 'owner' }, /"owner" is no mode: observer, peer or moderator/],
    [
      'one of before a reload',
      { mode: 'peer', sid: 'x', isElsewhere: true },
      /before this node was reloaded/,
    ],
    ['by the login for that, with a command', { login: joinLogin, command: 'ls' }, /nothing is run under/],
    [
      'by the login for that, without an id',
      { login: joinLogin, sid: '' },
      /nothing is run under this login/,
    ],
  ])('is refused to join %s', async (_, asked, why) => {
    const { served, made, events } = ask(asked);
    expect(await served).toBe(true);
    expect(made.seen.stderr).toMatch(why);
    expect([made.seen.exit, made.seen.stdout]).toEqual([{ status: 'exited', code: 1 }, '']);
    const login = asked.login ?? 'joe';
    expect(events).toMatchObject([{ event: 'session.join', code: 'T2001W', success: false, login }]);
  });

  it('is not joined where the audit does not take it', async () => {
    const { served, made, shared } = ask({ emit: () => Promise.reject(new CodedError('no_space', 'full')) });
    await served;
    expect(made.seen.stderr).toMatch(/the audit log does not take it: full/);
    expect(shared.participants).toEqual(['owner']);
  });
});

describe('somebody who joined', () => {
  it('sees the session, and is on record as one who came and left', async () => {
    const { served, made, events, shared } = ask({ mode: 'observer' });
    await some();
    expect(made.seen.stdout).toContain('shown\x1b[1Cbefore');
    expect(shared.guests).toEqual([{ user: 'ann', mode: 'observer' }]);
    made.channel.push('ignored \x03');
    await served;
    expect(made.seen.exit).toEqual({ status: 'exited', code: 0 });
    const told = { user: 'ann', sid, mode: 'observer', session_user: 'owner', session_login: 'root', ei: 4 };
    expect(events).toMatchObject([
      { event: 'session.join', code: 'T2001I', ...told },
      { event: 'session.leave', code: 'T2003I', ...told },
    ]);
    expect(shared.guests).toEqual([]);
  });

  it('has its exit when it is over', async () => {
    const { served, made, shared } = ask();
    await some();
    shared.over({ status: 'exited', code: 7 });
    await served;
    expect(made.seen.exit).toEqual({ status: 'exited', code: 7 });
  });

  it.each([
    ['moderator', ['ann, who moderates this session, has ended it']],
    ['observer', []],
    ['peer', []],
  ])('as %s who types t ends it: %j', async (mode, reasons) => {
    const { served, made, ended } = ask({ mode });
    await some();
    made.channel.push('t');
    await some();
    expect(ended).toEqual(reasons);
    made.leave();
    await served;
  });

  it('leaves when it is to be so, and is told why', async () => {
    const { served, made, cut, guest, withdraw } = ask();
    await some();
    expect(guest()?.refusal()).toBeUndefined();
    withdraw();
    cut.resolve(guest()?.refusal() ?? '');
    await served;
    expect(made.seen.stderr).toBe('you may not take part in this session any more\r\n');
    expect(made.seen.exit).toEqual({ status: 'exited', code: 255 });
  });

  it('has another size of terminal when it changes', async () => {
    const { served, made, guest } = ask();
    await some();
    const before = made.seen.stdout.length;
    guest()?.resize({ ...size, columns: 40 });
    await some();
    expect(made.seen.stdout.length).toBeGreaterThan(before);
    made.leave();
    await served;
  });
});
