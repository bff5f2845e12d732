import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openRecording } from '../../api/operations/recording.ts';
import { CodedError } from '../../base/errors.ts';
import { chunksOf, output } from '../../recording/playing/testing.ts';
import { framesOf, outputOf, testSid } from '../../recording/testing.ts';
import { aboutIn, fetchRecording } from './fetch-recording.ts';
import { playFile, playSession, type PlayedRecording } from './played-recording.ts';
import { authWith, exported, spoilt } from './testing.ts';

const chunks = chunksOf([output(0, 'one ')], [output(10, 'two ')], [output(20, 'three')]);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'played-recording-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** All output, once no more comes. */
async function outputIn({ chunks: played }: PlayedRecording): Promise<string> {
  await played.more(Infinity);
  const all = [];
  for (let i = 0; i < played.count; i++) all.push(...(await played.frames(i)));
  return outputOf(all);
}

const fetched = async (auth: ReturnType<typeof authWith>): Promise<string> => {
  const all = [];
  for await (const read of (await fetchRecording(auth.client, testSid)).chunks()) all.push(...read);
  return outputOf(framesOf(all));
};

describe('a recording that auth has', () => {
  it('is fetched piece by piece, however large the pieces are', async () => {
    for (const atOnce of [1, 2, 3]) {
      const auth = authWith(chunks, { atOnce });
      expect(await fetched(auth)).toBe('one two three');
      expect(auth.called).toHaveLength(1 + Math.ceil(3 / atOnce));
    }
  });

  it('is refused where it is no chain, ends early, or is not what was stored', async () => {
    const [first, , third] = chunks as [never, never, never];
    const damaged = (message: RegExp) =>
      expect.objectContaining({
        code: 'damaged',
        message: expect.stringMatching(message) as string,
      }) as unknown;
    await expect(fetched(authWith([first, third], { atOnce: 1 }))).rejects.toEqual(
      damaged(/chunk 2 comes where 1 is due/),
    );
    await expect(fetched(authWith(chunks.slice(0, 2), { known: 3, head: 'aa' }))).rejects.toEqual(
      damaged(/chunk 2 of 3 is missing/),
    );
    await expect(fetched(authWith(chunks, { head: 'aa' }))).rejects.toEqual(
      damaged(/chunk 2 is not what was stored/),
    );
  });

  it('must begin with what the session is', () => {
    expect(aboutIn(chunks[0], new Uint8Array(32).fill(7))).toMatchObject({ sid: testSid, user: 'alice' });
    for (const one of [undefined, chunks[1]])
      expect(() => aboutIn(one, new Uint8Array(32).fill(7))).toThrow(/does not begin with the beginning/);
  });

  it('is played while it is loaded, and leaves no file', async () => {
    const auth = authWith(chunks, { atOnce: 1 });
    {
      await using played = await playSession(auth.client, testSid, {
        follows: false,
        env: { TMPDIR: folder },
      });
      expect(await outputIn(played)).toBe('one two three');
      expect(played.chunks.end.isOver).toBe(true);
      expect(readdirSync(folder)).toEqual([]);
    }
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is followed until its end where its session goes on, and else played as far as it was', async () => {
    const wish = { known: 1, atOnce: 1 };
    await using live = await playSession(authWith(chunks, wish).client, testSid, { follows: true, env: {} });
    expect(await outputIn(live)).toBe('one two three');
    await using once = await playSession(authWith(chunks, wish).client, testSid, { follows: false, env: {} });
    expect(await outputIn(once)).toBe('one ');
    expect(once.chunks.failure).toBeUndefined();
  });

  it('tells why no more of it comes', async () => {
    const auth = authWith(chunks, { head: 'aa', atOnce: 2 });
    await using played = await playSession(auth.client, testSid, { follows: false, env: {} });
    expect(await outputIn(played)).toBe('one two ');
    expect(played.chunks.failure?.message).toMatch(/chunk 2 is not what was stored/);
  });

  it('is not played where it cannot be had, or there is no place for it', async () => {
    const gone = authWith(chunks).on(openRecording, () => {
      throw new CodedError('not_found', 'it was erased');
    });
    await expect(playSession(gone.client, testSid, { follows: true, env: {} })).rejects.toThrow(
      'it was erased',
    );
    const nowhere = { follows: false, env: { TMPDIR: join(folder, 'none') } };
    await expect(playSession(authWith(chunks).client, testSid, nowhere)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/^no file can be made for what is played: ENOENT/) as string,
    });
  });
});

describe('a recording in a file', () => {
  const file = (content: Buffer | string): string => {
    const path = join(folder, 'session');
    writeFileSync(path, content);
    return path;
  };

  it('is played to its end, or as far as it is whole', async () => {
    await using whole = await playFile(file(exported(chunks)));
    expect(await outputIn(whole)).toBe('one two three');
    await using cut = await playFile(file(exported(chunks).subarray(0, -1)));
    expect(await outputIn(cut)).toBe('one two ');
    expect(cut.chunks.end).toMatchObject({ next: 2, isOver: false });
  });

  it('is damaged where a chunk is not what was recorded', async () => {
    await using played = await playFile(file(exported(spoilt(chunks, 2))));
    await expect(outputIn(played)).rejects.toMatchObject({ code: 'damaged' });
  });

  it('is refused without its key, and when it is something else', async () => {
    const refused = (path: string, code: string, message: RegExp): Promise<void> =>
      expect(playFile(path)).rejects.toMatchObject({
        code,
        message: expect.stringMatching(message) as string,
      });
    await refused(
      file(exported(chunks, false)),
      'bad_request',
      /session is sealed: the key .* is not in it$/,
    );
    await refused(file('#!/bin/sh\n'), 'damaged', /is not a recording of a session/);
    await refused(join(folder, 'none'), 'not_found', /there is no file/);
    await refused(folder, 'unavailable', /cannot read the recording .*EISDIR/);
  });
});
