import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { textOf } from '../../recording/screen/paint.ts';
import { Screen } from '../../recording/screen/screen.ts';
import { type Guest, type Joined, SharedSessions, SharedTerminal } from './shared-terminal.ts';

const size = { columns: 20, rows: 4 };
const about = { sid: 's', user: 'ann', login: 'root', roleNames: () => ['dev'] };
let told: string[];
let ended: string[];
let shared: SharedTerminal;
beforeEach(() => {
  [told, ended] = [[], []];
  shared = new SharedTerminal({
    ...{ about, size, nextIndex: () => 7 },
    onGuest: (what, { user, mode }) => told.push(`${user} ${what} (${mode})`),
    end: (reason) => ended.push(reason),
  });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A terminal of this size that shows what the guest is sent. */
function watch({ terminal }: Joined, { columns, rows } = size) {
  const screen = new Screen(columns, rows);
  const seen = { text: '', isOver: false };
  terminal.on('data', (chunk: Buffer) => {
    seen.text += chunk.toString();
    screen.feed(chunk);
  });
  terminal.once('end', () => (seen.isOver = true));
  return { seen, lines: () => textOf(screen).map((line) => line.trimEnd()) };
}
const join = (mode: Guest['mode'], to = size, user = 'bob'): Joined => shared.join({ user, mode }, to);
const some = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await turn();
};

describe('somebody who joins', () => {
  it('sees what was shown before, and all that comes', async () => {
    shared.output(Buffer.from('before\r\n\x1b[1mbold\x1b[m'));
    const { lines } = watch(join('observer'));
    await some();
    expect(lines().slice(0, 2)).toEqual(['before', 'bold']);
    shared.output(Buffer.from(' after\r\nlast'));
    await some();
    expect(lines()).toEqual(['before', 'bold after', 'last', '']);
  });

  it('is sent nothing that a terminal must not be told', async () => {
    const { seen, lines } = watch(join('observer'));
    await some();
    shared.output(Buffer.from('a\x1b]52;c;QUJD\x07\x1b[c\x1b]0;TITLE\x07b'));
    await some();
    expect([seen.text.includes('QUJD'), seen.text.includes('\x1b[c'), lines()[0]]).toEqual([
      false,
      false,
      'ab',
    ]);
  });

  it('with a terminal of another size is drawn what fits, not with each byte', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const other = { columns: 10, rows: 2 };
    const joined = join('observer', other);
    const { lines, seen } = watch(joined, other);
    await some();
    const before = seen.text.length;
    for (const text of ['one\r\n', 'two\r\n', 'three is long']) shared.output(Buffer.from(text));
    await some();
    expect(seen.text.length).toBe(before);
    await vi.advanceTimersByTimeAsync(50);
    await some();
    expect(lines()).toEqual(['two', 'three is l']);
    joined.resize(size);
    await some();
    expect(seen.text.slice(before)).toContain('\x1b[3;1Hthree\x1b[1Cis\x1b[1Clong');
  });

  it('follows the size of the owner', async () => {
    const { seen } = watch(join('observer', { columns: 30, rows: 4 }), { columns: 30, rows: 4 });
    await some();
    shared.output(Buffer.from('x'));
    const before = seen.text.length;
    shared.resized({ columns: 30, rows: 4 });
    await some();
    // Passed on from here: painted once more, then as it is printed.
    expect(seen.text.slice(before)).toContain('\x1b[2J');
    shared.output(Buffer.from('passed on'));
    await some();
    expect(seen.text.endsWith('passed on')).toBe(true);
  });

  it('who does not read holds nobody up, and sees the newest when reading again', async () => {
    const slow = join('observer');
    const { lines } = watch(join('observer', size, 'eve'));
    for (let i = 0; i < 2_000; i++) shared.output(Buffer.from(`${'x'.repeat(1_000)}\r\n`));
    shared.output(Buffer.from('\x1b[2J\x1b[Hnewest'));
    await some();
    expect(lines()[0]).toBe('newest');
    expect(slow.terminal.readableLength).toBeLessThan(1024 * 1024);
    const late = watch(slow);
    await some();
    expect(late.lines()).toEqual(['newest', '', '', '']);
  });
});

describe('what somebody types who joined', () => {
  it.each([
    ['peer', 'ls\r'],
    ['observer', ''],
    ['moderator', ''],
  ] as const)('as %s reaches the program: %j', async (mode, typed) => {
    const input = new PassThrough();
    shared.connect(input);
    await new Promise((done) => join(mode).terminal.write('ls\r', done));
    expect(String((input.read() as Buffer | null) ?? '')).toBe(typed);
  });
  it('is dropped when there is no program, or none any more', async () => {
    const { terminal } = join('peer');
    await new Promise((done) => terminal.write('x', done));
    const input = new PassThrough();
    shared.connect(input);
    input.destroy();
    await new Promise((done) => terminal.write('x', done));
  });
});

describe('who takes part', () => {
  it('is told as they come and go, each once, and is remembered', async () => {
    const joined = join('peer');
    join('observer', size, 'eve');
    expect(shared.guests).toEqual([
      { user: 'bob', mode: 'peer' },
      { user: 'eve', mode: 'observer' },
    ]);
    joined.leave();
    joined.leave();
    joined.terminal.destroy();
    await some();
    expect(told).toEqual(['bob joined (peer)', 'eve joined (observer)', 'bob left (peer)']);
    expect([shared.guests.length, shared.participants]).toEqual([1, ['ann', 'bob', 'eve']]);
  });

  it('leaves when the connection is gone', async () => {
    join('peer').terminal.destroy();
    await some();
    expect([shared.guests, told.at(-1)]).toEqual([[], 'bob left (peer)']);
  });

  it('sees the end, with a terminal as it was before', async () => {
    const joined = join('observer');
    const { seen } = watch(joined);
    await some();
    shared.output(Buffer.from('\x1b[?1049hfull screen'));
    shared.over({ status: 'exited', code: 3 });
    await some();
    expect(seen.isOver).toBe(true);
    expect(seen.text).toContain('\x1b[?1049l');
    expect(await joined.ended).toEqual({ status: 'exited', code: 3 });
  });

  it('may end it as a moderator', () => {
    shared.endBy({ user: 'bob', mode: 'moderator' });
    expect(ended).toEqual(['bob, who moderates this session, has ended it']);
  });
});

it('sessions are found by their id while they run', () => {
  const all = new SharedSessions();
  const over = all.add(shared);
  expect([all.find('s'), all.find('t')]).toEqual([shared, undefined]);
  over();
  expect(all.find('s')).toBeUndefined();
});
