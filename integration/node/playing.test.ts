import { spawn } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ran, run, until } from '../harness/run-program.ts';
import { linkIn } from '../harness/cluster.ts';
import { acceptLink, logIn } from '../harness/people.ts';
import { type RecordedCluster, recordedCluster } from './recorded-cluster.ts';

let bench: RecordedCluster;
beforeAll(async () => {
  bench = await recordedCluster();
});
afterAll(() => bench.close());

/** A marker, the keys that are typed then, and how many seconds it may take. */
type Step = readonly [string, string, number];
interface Played {
  readonly status: number;
  readonly restored: boolean;
  readonly times: readonly number[];
  readonly shown: string;
}

/** Runs tsh in a terminal. */
async function inTerminal(steps: readonly Step[], args: readonly string[], size = [25, 80]): Promise<Played> {
  const script = resolve('integration/node/play-terminal.py');
  const all = [script, ...size.map(String), JSON.stringify(steps), 'tsh', ...args];
  const ran = await run('python3', all, { env: bench.cluster.env('joe'), cwd: bench.cluster.dir });
  if (ran.code !== 0) throw new Error(ran.stderr);
  return JSON.parse(ran.stdout) as Played;
}

const tsh = (...args: string[]): Promise<Ran> =>
  run('tsh', args, { env: bench.cluster.env('joe'), cwd: bench.cluster.dir });

/** A session with this command, all of which is stored. */
async function recorded(command: string, marker: string): Promise<string> {
  const ran = await bench.inTerminal(`${command}; : ${marker}`);
  expect(ran.code).toBe(0);
  const { sid = '' } = await bench.endOf(marker);
  await bench.stored(sid);
  return sid;
}

const accesses = async (sid: string): Promise<number> =>
  (await bench.eventsOf('session.recording.access')).filter((one) => one.sid === sid).length;

describe('tsh play', () => {
  it('plays a session as it was, without what a terminal must not be told, and the audit has it', async () => {
    const hostile = String.raw`printf "one\\033]0;TITLE\\007\\033[c\\033]52;c;QUJD\\007\\033[1mbold\\033[0m\\n"`;
    const sid = await recorded(hostile, 'marker-hostile');
    const { status, restored, shown } = await inTerminal(
      [['end of session playback', '', 30]],
      ['play', sid],
    );
    expect([status, restored]).toEqual([0, true]);
    expect(shown).toContain('one');
    expect(shown).toContain('bold');
    for (const bad of ['TITLE', '\x1b]', '\x1b[c', 'QUJD']) expect(shown).not.toContain(bad);
    expect(await accesses(sid)).toBe(1);
    const raw = await inTerminal([['end of session playback', '', 30]], ['play', '--raw', sid]);
    expect(raw.shown).toContain('\x1b]0;TITLE\x07');
    expect(await accesses(sid)).toBe(2);
  });

  it('obeys keys: pause, seek, search, speed, leave', async () => {
    const steps = Array.from({ length: 8 }, (_, i) => `echo step-${i + 1}; sleep 0.4`);
    const sid = await recorded(steps.join('; '), 'marker-keys');
    const { status, restored } = await inTerminal(
      [
        ['step-1', ' ', 30],
        ['paused 0:00:00 / 0:00:0', '/', 30],
        ['/', 'step-7\r', 30],
        ['step-7', '', 30],
        ['paused 0:00:02', '\x1b[D', 30],
        ['paused 0:00:00', 'G', 30],
        ['step-8', '+', 30],
        ['speed 1.5', '/nowhere\r', 30],
        ['not found from here on: nowhere', 'q', 30],
      ],
      ['play', sid],
    );
    expect([status, restored]).toEqual([0, true]);
  });

  it('draws it in a terminal of another size, and shortens pauses', async () => {
    const sid = await recorded('echo before; sleep 5; echo after', 'marker-idle');
    const { shown, times } = await inTerminal(
      [
        ['before', '', 30],
        ['after', '', 30],
        ['end of session playback', '', 30],
      ],
      ['play', sid],
      [10, 40],
    );
    expect(shown).toContain('after');
    expect(times[1]).toBeLessThan(3.5);
  });

  it('follows a session that goes on', async () => {
    const child = spawn('ssh', ['-tt', '-F', bench.config, bench.host, 'echo begun; : marker-follow; cat'], {
      ...{ env: bench.cluster.env('joe'), cwd: bench.cluster.dir },
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const start = await until('its start', async () =>
      (await bench.eventsOf('session.start')).find((one) => String(one['command']).includes('marker-follow')),
    );
    const sid = start.sid ?? '';
    await until('what it showed', async () =>
      (await bench.outputOf(sid)).includes('begun') ? true : undefined,
    );
    expect((await bench.cluster.tctl('recordings', 'ls')).stdout).toMatch(new RegExp(`^${sid}.* live `, 'm'));
    const playing = inTerminal(
      [
        ['begun', '', 30],
        ['typed later', '', 30],
        ['end of session playback', '', 30],
      ],
      ['play', sid],
    );
    await until('somebody to play it', async () => ((await accesses(sid)) > 0 ? true : undefined));
    child.stdin.write('typed later\n');
    await until('what was typed', async () =>
      (await bench.outputOf(sid)).includes('typed later') ? true : undefined,
    );
    child.stdin.end('\u0004');
    expect((await playing).status).toBe(0);
    await bench.endOf('marker-follow');
  });

  it('restores the terminal when a signal ends it', async () => {
    const sid = await recorded(
      String.raw`printf "\\033[?1049h\\033[?25lfull screen"; sleep 3`,
      'marker-signal',
    );
    const played = await inTerminal([['full screen', 'signal:TERM', 30]], ['play', sid]);
    expect([played.status, played.restored]).toEqual([143, true]);
    expect(played.shown).toMatch(/\x1b\[\?1049l.*\x1b\[\?25h/su);
  });

  it('writes it as text, JSON and asciicast', async () => {
    const sid = await recorded(
      String.raw`printf "r\\033[31me\\033[0md\\033]0;TITLE\\007\\n"`,
      'marker-formats',
    );
    expect((await tsh('play', '--format=text', sid)).stdout).toBe('red\n');
    const json = (await tsh('play', '--format=json', sid)).stdout.trim().split('\n');
    const frames = json.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(frames[0]).toMatchObject({ type: 'start', about: { sid, user: 'joe' } });
    expect(frames.at(-1)).toMatchObject({ type: 'end', exit: 'exit 0' });
    const cast = (await tsh('play', '--format=asciicast', sid)).stdout.trim().split('\n');
    expect(JSON.parse(cast[0] ?? '')).toMatchObject({ version: 2, width: 80, height: 25 });
    const output = cast.slice(1).map((line) => (JSON.parse(line) as string[])[2]);
    expect(output.join('')).toBe('r\x1b[31me\x1b[0md\r\n');
    const piped = await tsh('play', sid);
    expect([piped.code, piped.stderr]).toEqual([1, expect.stringContaining('--format=text') as string]);
  });

  it('says what cannot be played', async () => {
    const ask = async (what: string): Promise<string> => (await tsh('play', '--format=text', what)).stderr;
    expect(await ask('abc')).toContain("'abc' is not a valid session ID (must be GUID)");
    const unknown = '0b0a5b1e-3f2b-4c5d-8e9f-0000000000ff';
    expect(await ask(unknown)).toContain(`there is no recording of session ${unknown}`);
  });
});

describe('recordings', () => {
  it('are listed for whom they may be seen by, and nobody else plays them', async () => {
    const sid = await recorded('echo mine', 'marker-listed');
    const own = await tsh('recordings', 'ls', '--format=json');
    const rows = own.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(rows.find((one) => one['sid'] === sid)).toMatchObject({
      ...{ user: 'joe', login: bench.login, hostname: 'node1', status: 'stored', bytes: 6 },
      participants: ['joe'],
    });
    expect((await tsh('recordings', 'ls')).stdout).toMatch(new RegExp(`^${sid} joe .* stored `, 'm'));
    const none = await tsh('recordings', 'ls', '--of-user=nobody');
    expect(none.stdout).toBe('No recordings found\n');
    const added = await bench.cluster.tctl('users', 'add', 'eve', bench.login, '--roles=access');
    await acceptLink(bench.cluster, linkIn(added.stdout));
    await logIn(bench.cluster, 'eve');
    const eve = (...args: string[]): Promise<Ran> =>
      run('tsh', args, { env: bench.cluster.env('eve'), cwd: bench.cluster.dir });
    expect((await eve('recordings', 'ls')).stdout).toBe('No recordings found\n');
    expect((await eve('recordings', 'ls', '--of-user=joe')).stdout).toBe('No recordings found\n');
    const refused = await eve('play', '--format=text', sid);
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringContaining(`there is no recording of session ${sid}`) as string,
    ]);
    expect(await accesses(sid)).toBe(0);
  });

  it('are exported to a file that is checked and played without the cluster', async () => {
    const { cluster } = bench;
    const sid = await recorded('seq 1 500', 'marker-exported');
    const file = join(cluster.dir, 'session.trf');
    const exported = await cluster.tctl('recordings', 'export', sid, file);
    expect(exported.stdout).toMatch(/^\d+ chunks, \d+ bytes of output, in /);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect((await cluster.tctl('recordings', 'export', sid, file)).code).toBe(1);
    const [there] = [await cluster.tctl('recordings', 'verify', sid)];
    expect(there.stdout).toMatch(/, as the audit says\nok, to its end\n$/);
    const offline = { env: { ...cluster.env('nobody-here') }, cwd: cluster.dir };
    const verified = await run('tctl', ['recordings', 'verify', file], offline);
    expect(verified.stdout).toMatch(new RegExp(`^session ${sid}: .*\nhead [0-9a-f]{64}\nok, to its end\n$`));
    const played = await run('tsh', ['play', '--format=text', file], offline);
    expect(played.stdout).toBe(Array.from({ length: 500 }, (_, i) => `${i + 1}\n`).join(''));
    const changed = readFileSync(file);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    writeFileSync(file, changed);
    const bad = await run('tctl', ['recordings', 'verify', file], offline);
    expect([bad.code, bad.stderr]).toEqual([
      1,
      expect.stringMatching(/chunk \d+ of .* does not open/) as string,
    ]);
  });

  it('are searched for a text, and erased for good', async () => {
    const { cluster } = bench;
    const sid = await recorded('echo the Needle in it', 'marker-needle');
    const search = (): Promise<Ran> => cluster.tctl('recordings', 'search', 'needle in', '--user=joe');
    expect((await search()).stdout).toMatch(
      new RegExp(`^${sid} \\d{4}-.*Z joe@node1: the Needle in it$`, 'm'),
    );
    expect((await cluster.tctl('recordings', 'search', 'such a thing is nowhere')).code).toBe(1);
    const unasked = await cluster.tctl('recordings', 'erase', sid);
    expect(unasked.stderr).toContain('--yes was not given');
    const erased = await cluster.tctl('recordings', 'erase', sid, '--yes', '--reason=a test');
    expect(erased.stdout).toBe(`The recording of session ${sid} was erased.\n`);
    expect((await search()).stdout).not.toContain(sid);
    expect((await cluster.tctl('recordings', 'ls')).stdout).toMatch(new RegExp(`^${sid}.* erased `, 'm'));
    expect((await cluster.tctl('log', 'verify', '--recordings')).stdout).toMatch(/^ok$/m);
  });
});
