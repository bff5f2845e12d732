import { mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChunkCutter } from '../chunk-cutter.ts';
import type { Chunk } from '../chunk.ts';
import type { FrameContent } from '../frame.ts';
import { testAbout, testKey, testSid } from '../testing.ts';
import { PlayedChunks } from './played-chunks.ts';

/** What happened, and when. */
export type Happened = readonly [atMs: number, content: FrameContent];

export const output = (atMs: number, text: string): Happened => [
  atMs,
  { type: 'output', bytes: Buffer.from(text) },
];

/** A session that began as `testAbout` says, a chunk for each group of what happened. */
export function chunksOf(...groups: readonly (readonly Happened[])[]): Chunk[] {
  let now = 0;
  const cutter = new ChunkCutter({ sid: testSid, key: testKey, elapsedMs: () => now, wallMs: () => 0 });
  cutter.add({ type: 'start', about: testAbout });
  return groups.flatMap((group, i) => {
    for (const [atMs, content] of group) {
      now = atMs;
      cutter.add(content);
    }
    return cutter.cut(i === groups.length - 1) ?? [];
  });
}

/** In a file that is gone already. Close it. */
export async function emptyPlayed(key = testKey): Promise<PlayedChunks> {
  const folder = mkdtempSync(join(tmpdir(), 'played-'));
  const file = await open(join(folder, 'chunks'), 'wx+');
  rmSync(folder, { recursive: true });
  return new PlayedChunks(file, { sid: testSid, key });
}

export async function playedOf(...groups: readonly (readonly Happened[])[]): Promise<PlayedChunks> {
  const played = await emptyPlayed();
  await played.append(chunksOf(...groups));
  played.finish();
  return played;
}
