import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { realWorld } from '../../../base/world.ts';
import { CodedError } from '../../../base/errors.ts';
import { chunksOf, emptyPlayed, output, playedOf } from '../../../recording/playing/testing.ts';
import { testSid } from '../../../recording/testing.ts';
import { type Invocation, parseArgs } from '../../args.ts';
import { cliIo } from '../../cli-io.ts';
import { exported, spoilt } from '../../recordings/testing.ts';
import { tshProgram } from '../program.ts';
import { testIo } from '../testing.ts';
import { playCommand } from './play-command.ts';
import { playInTerminal, speedOf } from './play-in-terminal.ts';

function play(...argv: string[]): Invocation {
  const parsed = parseArgs(tshProgram, ['play', ...argv], {});
  if (parsed.kind !== 'run') throw new Error('no command');
  return parsed.invocation;
}

/** A person at a terminal of 80 columns and 24 rows. */
class Person {
  readonly stdin = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (raw: boolean) => this.rawModes.push(raw),
  });
  readonly screen = Object.assign(new PassThrough(), { isTTY: true, columns: 80, rows: 24 });
  readonly stderr = new PassThrough();
  /** Each change of the mode of the terminal. */
  readonly rawModes: boolean[] = [];
  readonly io = cliIo(
    { stdout: this.screen, stderr: this.stderr },
    { stdin: this.stdin, env: {}, world: realWorld },
  );
  /** What the terminal was sent. */
  seen = '';

  constructor() {
    this.screen.on('data', (data: Buffer) => (this.seen += data.toString()));
  }

  /** Resolves when the terminal was sent this. */
  async sees(text: string): Promise<void> {
    while (!this.seen.includes(text)) await turn();
  }

  /** Who listens to the streams and signals of the person. */
  listeners(): number[] {
    const signals = (['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const).map((one) =>
      process.listenerCount(one),
    );
    return [
      this.stdin.listenerCount('data'),
      this.stdin.listenerCount('end'),
      this.screen.listenerCount('resize'),
      ...signals,
    ];
  }
}

const day = 24 * 3600 * 1000;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'play-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function file(content: Buffer): string {
  const path = join(folder, 'session');
  writeFileSync(path, content);
  return path;
}

describe('a session that is played in a terminal', () => {
  it('is shown to its end, and then the terminal is as it was', async () => {
    await using chunks = await playedOf([output(0, 'hel')], [output(0, 'lo\r\n')]);
    const person = new Person();
    const before = person.listeners();
    await playInTerminal(chunks, play('x'), person.io);
    expect(person.seen).toContain('hel');
    expect(person.seen).toContain('lo\r\n');
    expect(person.seen.endsWith('\nend of session playback\n')).toBe(true);
    expect(person.rawModes).toEqual([true, false]);
    expect(person.listeners()).toEqual(before);
    expect(person.stdin.isPaused()).toBe(true);
  });

  it('ends when the person leaves, by a key or because the terminal is gone', async () => {
    for (const leave of [
      (person: Person): unknown => person.stdin.write('q'),
      (person: Person): unknown => person.stdin.end(),
      (person: Person): unknown => person.stdin.emit('error', new Error('EIO')),
    ]) {
      await using chunks = await playedOf([output(0, 'here')], [output(day, 'never')]);
      const person = new Person();
      const playing = playInTerminal(chunks, play('x', '--keep-idle'), person.io);
      await person.sees('here');
      leave(person);
      await playing;
      expect(person.seen).not.toContain('never');
      expect(person.seen).not.toContain('end of session playback');
      expect(person.rawModes).toEqual([true, false]);
    }
  });

  it('obeys keys, and draws again when the terminal has another size', async () => {
    await using chunks = await playedOf([output(0, 'here')], [output(day, 'later')]);
    const person = new Person();
    const playing = playInTerminal(chunks, play('x', '--keep-idle'), person.io);
    await person.sees('here');
    person.stdin.write(' ');
    await person.sees('paused');
    person.seen = '';
    Object.assign(person.screen, { columns: 40, rows: 10 });
    person.screen.emit('resize');
    await person.sees('here');
    person.stdin.write('G');
    await person.sees('later');
    person.stdin.write('q');
    await playing;
  });

  it('needs nobody at the keys', async () => {
    await using chunks = await playedOf([output(0, 'hello')]);
    const person = new Person();
    person.stdin.isTTY = false;
    await playInTerminal(chunks, play('x'), person.io);
    expect(person.seen).toContain('hello');
    expect(person.rawModes).toEqual([]);
  });

  it('restores the terminal when the rest cannot be had, and touches none when nothing can', async () => {
    const failure = new CodedError('unavailable', 'auth is away');
    await using some = await emptyPlayed();
    await some.append(chunksOf([output(0, 'hello')], [output(1, '')]).slice(0, 1));
    some.finish(failure);
    const person = new Person();
    const before = person.listeners();
    await expect(playInTerminal(some, play('x'), person.io)).rejects.toBe(failure);
    expect(person.seen).toContain('hello');
    expect(person.rawModes).toEqual([true, false]);
    expect(person.listeners()).toEqual(before);
    await using none = await emptyPlayed();
    none.finish(failure);
    const other = new Person();
    await expect(playInTerminal(none, play('x'), other.io)).rejects.toBe(failure);
    expect([other.seen, other.rawModes]).toEqual(['', []]);
  });

  it('waits for a terminal that is stopped', async () => {
    await using chunks = await playedOf([output(0, 'x'.repeat(200_000))], [output(1, 'end')]);
    const person = new Person();
    person.screen.pause();
    const playing = playInTerminal(chunks, play('x'), person.io);
    while (!person.screen.writableNeedDrain) await turn();
    person.screen.resume();
    await playing;
    expect(person.seen).toContain('end of session playback');
    expect(person.screen.listenerCount('drain')).toBe(0);
  });

  it('has a speed that the player has', () => {
    expect(['0.25', '1.5', '32'].map((speed) => speedOf(play('x', `--speed=${speed}`)))).toEqual([
      0.25, 1.5, 32,
    ]);
    expect(speedOf(play('x'))).toBe(1);
    for (const wrong of ['3', '1.0', '', 'fast'])
      expect(() => speedOf(play('x', `--speed=${wrong}`))).toThrow(
        `--speed: expected one of 0.25, 0.5, 1, 1.5, 2, 4, 8, 16, 32, got "${wrong}"`,
      );
  });
});

describe('tsh play', () => {
  const chunks = chunksOf(
    [output(0, 'one\r\n')],
    [output(1_000, 'two \x1b[1mthree\x1b[0m\r\n\x1b]0;title\x07')],
  );
  /** Everything that is printed. */
  const printed = async (...argv: string[]): Promise<string> => {
    const io = testIo(folder);
    expect(await playCommand(play(...argv), io)).toBe(0);
    expect(io.err()).toBe('');
    return io.out();
  };
  const lines = (text: string): unknown[] =>
    text
      .trimEnd()
      .split('\n')
      .map((line): unknown => JSON.parse(line));

  it('writes an exported session as text, JSON and asciicast', async () => {
    const path = file(exported(chunks));
    expect(await printed(path, '--format=text')).toBe('one\ntwo three\n');
    expect(lines(await printed(path, '--format=json')).slice(1)).toEqual([
      { ms: 0, type: 'output', data: 'one\r\n' },
      { ms: 1_000, type: 'output', data: 'two \x1b[1mthree\x1b[0m\r\n\x1b]0;title\x07' },
    ]);
    const safe = await printed(path, '--format=asciicast');
    expect(lines(safe)).toMatchObject([
      { version: 2, width: 80 },
      [0, 'o', 'one\r\n'],
      [1, 'o', expect.stringContaining('three')],
    ]);
    expect(safe).not.toContain('title\\u0007');
    expect(await printed(path, '--format=asciicast', '--raw')).toContain('title\\u0007');
  });

  it('plays an exported session in a terminal, and tells that its end is missing', async () => {
    const person = new Person();
    expect(await playCommand(play(file(exported(chunks.slice(0, 1)))), person.io)).toBe(0);
    expect(person.seen).toContain('one\r\n');
    expect(String(person.stderr.read())).toBe(
      'the recording has no end: its session goes on, or it was cut off\n',
    );
  });

  it('writes what there is before a chunk that is damaged, and fails', async () => {
    const io = testIo(folder);
    await expect(
      playCommand(play(file(exported(spoilt(chunks, 1))), '--format=text'), io),
    ).rejects.toMatchObject({
      code: 'damaged',
      message: `chunk 1 of ${testSid} does not open`,
    });
    expect(io.out()).toBe('one\n');
  });

  it('refuses what it cannot play before anything is printed', async () => {
    const refused = async (
      code: string,
      message: string | RegExp,
      io: Person['io'],
      ...argv: string[]
    ): Promise<void> => {
      await expect(playCommand(play(...argv), io)).rejects.toMatchObject({
        code,
        message: expect.stringMatching(message) as string,
      });
    };
    const path = file(exported(chunks));
    const [pipe, person] = [testIo(folder), new Person()];
    await refused('bad_request', /^a session is played in a terminal: use --format=text/, pipe, path);
    await refused('bad_request', /^--speed: expected one of/, person.io, path, '--speed=3');
    await refused(
      'bad_request',
      /^'nobody' is not a valid session ID \(must be GUID\), and no such file/,
      person.io,
      'nobody',
    );
    await refused(
      'bad_request',
      /the key of its session is not in it$/,
      person.io,
      file(exported(chunks, false)),
    );
    await refused('damaged', /is not a recording of a session/, person.io, file(Buffer.from('text')));
    await refused('unavailable', /EISDIR/, person.io, folder);
    expect([pipe.out(), person.seen, person.rawModes]).toEqual(['', '', []]);
  });
});
