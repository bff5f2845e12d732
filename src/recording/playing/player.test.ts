import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { CodedError } from '../../base/errors.ts';
import { textOf } from '../screen/paint.ts';
import { Screen } from '../screen/screen.ts';
import { testAbout } from '../testing.ts';
import type { Wish } from './keys.ts';
import type { PlayedChunks } from './played-chunks.ts';
import { Player, type PlayerOptions } from './player.ts';
import { chunksOf, emptyPlayed, output, playedOf } from './testing.ts';

/** A player whose time passes as soon as somebody waits for it. */
class Bench {
  readonly screen: Screen;
  readonly player: Player;
  /** Everything that was sent to the terminal. */
  sent = '';
  now = 0;
  /** How long it waited each time. */
  readonly waits: number[] = [];
  /** What is wished when it has waited so often. */
  readonly #wishes: Map<number, readonly Wish[]>;

  constructor(
    chunks: PlayedChunks,
    wishes: Record<number, readonly Wish[]> = {},
    more: Partial<PlayerOptions> = {},
  ) {
    const { columns, rows } = testAbout;
    this.screen = new Screen(columns, rows);
    this.#wishes = new Map(Object.entries(wishes).map(([at, all]) => [Number(at), all]));
    this.player = new Player({
      chunks,
      terminal: {
        size: () => ({ columns, rows }),
        write: async (data) => {
          const text = Buffer.from(data).toString();
          this.sent += text;
          this.screen.feed(Buffer.from(data));
          await turn();
        },
      },
      monotonic: () => this.now,
      sleep: async (ms, signal) => {
        this.waits.push(ms);
        for (const wish of this.#wishes.get(this.waits.length) ?? []) this.player.wish(wish);
        while (ms === Infinity && !signal.aborted) await turn();
        if (!signal.aborted) this.now += ms;
      },
      ...more,
    });
  }

  get lines(): readonly string[] {
    return textOf(this.screen).filter((line) => line !== '');
  }
}

const pause: Wish = { kind: 'pause' };
const quit: Wish = { kind: 'quit' };
const move = (byMs: number): Wish => ({ kind: 'move', byMs });

describe('the player', () => {
  it('shows what happened when it happened, with pauses shortened, to the end', async () => {
    await using played = await playedOf([output(0, 'a'), output(300, 'b')], [output(60_300, 'c')]);
    const bench = new Bench(played);
    expect(await bench.player.play()).toBe('ended');
    expect(bench.lines).toEqual(['abc']);
    expect(bench.waits).toEqual([300, 1_000]);
  });

  it('keeps pauses where it is told so, and plays faster and slower', async () => {
    await using played = await playedOf([output(0, 'a')], [output(60_000, 'b')]);
    const bench = new Bench(played, {}, { keepsIdle: true, speed: 4 });
    await bench.player.play();
    expect(bench.waits).toEqual([15_000]);
    await using again = await playedOf([output(0, 'a')], [output(500, 'b')], [output(1_000, 'c')]);
    const faster = new Bench(again, { 1: [{ kind: 'speed', by: 2 }] });
    await faster.player.play();
    expect(faster.waits).toEqual([500, 250, 250]);
    expect(faster.lines).toEqual(['abc']);
    expect(faster.sent).toContain('speed 2');
  });

  it('pauses, and goes to any time of the session', async () => {
    const groups = Array.from({ length: 60 }, (_, i) => [output(i * 1_000, `${i}\r\n`)]);
    await using played = await playedOf(...groups);
    const bench = new Bench(played, {
      1: [pause, move(30_000)],
      2: [move(-10_000)],
      3: [move(-Infinity)],
      4: [{ kind: 'end' }],
      5: [{ kind: 'redraw' }],
      6: [quit],
    });
    const shown: string[] = [];
    const { player } = bench;
    const playing = player.play();
    for (let seen = 1; seen < 6;) {
      await turn();
      if (bench.waits.length <= seen) continue;
      seen = bench.waits.length;
      shown.push(bench.lines.at(-1) ?? '');
    }
    expect(await playing).toBe('left');
    expect(shown.slice(0, 3).join(' ')).toMatch(/paused 0:00:(30|20|00) \/ 0:00:59/);
    expect(bench.sent).toContain('paused 0:00:30 / 0:00:59');
    expect(bench.sent).toContain('paused 0:00:20 / 0:00:59');
    expect(bench.sent).toContain('paused 0:00:59 / 0:00:59');
    expect(bench.lines.at(-1)).toBe('59');
  });

  it('finds a text after what is shown, and the next one', async () => {
    await using played = await playedOf(
      [output(0, 'one needle\r\n')],
      [output(2_000, 'two Nee'), output(2_500, 'dle\r\n')],
      [output(5_000, 'three needle\r\n')],
    );
    const search = (text: string | undefined): Wish => ({ kind: 'search', text });
    const bench = new Bench(played, {
      1: [{ kind: 'typing', text: 'nee' }, search('needle')],
      2: [search(undefined)],
      3: [search(undefined)],
      4: [quit],
    });
    await bench.player.play();
    expect(bench.sent).toContain('/nee');
    expect(bench.sent).toContain('paused 0:00:02 / 0:00:05');
    expect(bench.sent).toContain('paused 0:00:05 / 0:00:05');
    expect(bench.sent).toContain('not found from here on: needle');
  });

  it.each(['all of it has come', 'something else is wished'])('looks for a text until %s', async (until) => {
    await using played = await emptyPlayed();
    const [first, second, third] = chunksOf([output(0, 'one ')], [output(10, 'two ')], [output(20, 'three')]);
    if (first === undefined || second === undefined || third === undefined) throw new Error('three chunks');
    await played.append([first]);
    const bench = new Bench(played);
    const playing = bench.player.play();
    const seen = async (text: string): Promise<void> => {
      while (!bench.sent.includes(text)) await turn();
    };
    await seen('one');
    bench.player.wish({ kind: 'search', text: 'nowhere' });
    await seen('looking for nowhere');
    await played.append([second]);
    for (let i = 0; i < 50; i++) await turn();
    expect(bench.sent).not.toContain('not found');
    if (until === 'something else is wished') bench.player.wish({ kind: 'search', text: 'three' });
    else {
      // It goes on, and what comes later is not waited for.
      played.caughtUp();
      await seen('not found from here on: nowhere');
      bench.player.wish({ kind: 'search', text: 'two' });
      await seen('paused 0:00:00 / 0:00:00+');
    }
    await played.append([third]);
    played.finish();
    if (until === 'something else is wished') await seen('paused 0:00:00 / 0:00:00');
    expect(bench.sent.includes('not found')).toBe(until !== 'something else is wished');
    bench.player.wish(quit);
    await playing;
  });

  it('follows what comes, and tells why no more does', async () => {
    await using played = await emptyPlayed();
    const [first, second] = chunksOf([output(0, 'one ')], [output(1, 'two')]);
    if (first === undefined || second === undefined) throw new Error('two chunks');
    await played.append([first]);
    const bench = new Bench(played);
    const playing = bench.player.play();
    while (bench.waits.length === 0) await turn();
    expect(bench.lines).toEqual(['one']);
    await played.append([second]);
    while (bench.waits.length < 2) await turn();
    expect(bench.lines).toEqual(['one two']);
    played.finish(new CodedError('unavailable', 'the connection was closed'));
    await expect(playing).rejects.toMatchObject({ message: 'the connection was closed' });
    expect(bench.player.restoring()).toContain('\x1b[?25h');
  });

  it('ends with what is damaged', async () => {
    await using played = await emptyPlayed(new Uint8Array(32));
    await played.append(chunksOf([output(0, 'x')]));
    played.finish();
    const bench = new Bench(played);
    await expect(bench.player.play()).rejects.toMatchObject({ code: 'damaged' });
    expect(bench.player.restoring()).toBe('');
  });

  it('draws in a terminal of another size, and shows help', async () => {
    await using played = await playedOf([output(0, 'first')], [output(900, ' second')]);
    const terminal = new Screen(30, 5);
    const bench = new Bench(
      played,
      { 1: [{ kind: 'help' }], 2: [pause] },
      {
        terminal: {
          size: () => ({ columns: 30, rows: 5 }),
          write: async (data) => {
            terminal.feed(Buffer.from(data));
            await turn();
          },
        },
      },
    );
    expect(await bench.player.play()).toBe('ended');
    expect(textOf(terminal)[0]).toBe('first second');
  });

  it('draws what happens without a pause as it goes on, and not each piece of it', async () => {
    await using played = await playedOf(Array.from({ length: 100 }, (_, i) => output(0, `${i}\r\n`)));
    const sent: string[] = [];
    let now = 0;
    const bench = new Bench(
      played,
      {},
      {
        // Each piece takes a millisecond.
        monotonic: () => (now += 0.25),
        terminal: {
          size: () => ({ columns: 30, rows: 5 }),
          write: async (data) => {
            sent.push(Buffer.from(data).toString());
            await turn();
          },
        },
      },
    );
    await bench.player.play();
    expect(sent.find((text) => text.includes('0'))).toBeDefined();
    expect(sent.length).toBeGreaterThan(3);
    expect(sent.length).toBeLessThan(30);
  });
});
