import { CodedError } from '../base/errors.ts';
import type { Chunk } from './chunk.ts';
import type { ChunkSink } from './chunk-sink.ts';
import { type Frame, decodeFrames, type SessionAbout } from './frame.ts';
import { openChunk } from './chunk.ts';

export const testSid = '0b0a5b1e-3f2b-4c5d-8e9f-000000000001';
export const testKey = new Uint8Array(32).fill(7);

export const testAbout: SessionAbout = {
  sid: testSid,
  user: 'alice',
  login: 'root',
  hostId: 'host-1',
  hostname: 'web-1',
  clusterName: 'main',
  startedAt: '2026-12-03T09:00:00.000Z',
  term: 'xterm',
  columns: 80,
  rows: 24,
};

/** Keeps chunks in memory; `trouble` makes writes fail, `hold` makes them wait. */
export class MemorySink implements ChunkSink {
  readonly chunks: Chunk[] = [];
  writes = 0;
  isClosed = false;
  trouble: 'no_space' | undefined;
  hold: Promise<void> | undefined;

  async write(chunks: readonly Chunk[]): Promise<void> {
    this.writes++;
    await this.hold;
    if (this.trouble !== undefined) throw new CodedError(this.trouble, 'the disk is full');
    this.chunks.push(...chunks);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await Promise.resolve();
  }
}

export const framesOf = (chunks: readonly Chunk[], key = testKey): Frame[] =>
  chunks.flatMap((chunk) => [...decodeFrames(openChunk(chunk, key))]);

export const outputOf = (frames: readonly Frame[]): string =>
  Buffer.concat(frames.flatMap((one) => (one.type === 'output' ? [one.bytes] : []))).toString();
