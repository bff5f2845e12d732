import { fakeWorld } from '../../api/testing.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hour } from '../../base/time.ts';
import { ArchiveBench } from '../../log/segment-testing.ts';
import { keepsRecordingsApart, openArchiveOf, requireArchive } from './open-archive.ts';

describe('the configured archive', () => {
  it('is none where none is named', async () => {
    expect(await openArchiveOf({})).toBeUndefined();
  });

  it('keeps a day in the store and all for ever, unless it is told otherwise', async () => {
    const path = mkdtempSync(join(tmpdir(), 'archive-'));
    const audit_archive = { type: 'dir', path } as const;
    const [usual, told, never] = await Promise.all([
      openArchiveOf({ audit_archive }),
      openArchiveOf({ audit_archive, audit_kept_in_store: hour, audit_retention: 9 * hour }),
      openArchiveOf({ audit_archive, audit_retention: 0 }),
    ]);
    expect(usual).toMatchObject({ keptMs: 24 * hour, retentionMs: undefined });
    expect(told).toMatchObject({ keptMs: hour, retentionMs: 9 * hour });
    expect(never?.retentionMs).toBeUndefined();
    expect(usual?.objects.place).toBe(`file://${path}`);
    rmSync(path, { recursive: true });
  });

  it('in a bucket is not asked for anything before it is needed', async () => {
    const given = { prefix: 'a/b', region: 'eu-west-1', endpoint: undefined, encrypted: true };
    const opened = await openArchiveOf({ audit_archive: { type: 's3', bucket: 'audit', ...given } });
    expect(opened?.objects.place).toBe('s3://audit/a/b');
    await opened?.objects.close();
  });

  it('is required once anything was moved', async () => {
    const bench = new ArchiveBench(fakeWorld());
    const log = await bench.open();
    const without = await bench.open({ archive: undefined });
    await requireArchive(without);
    await bench.write(log, 'session-a', 300);
    await bench.compactTwice(log);
    await requireArchive(log);
    await expect(requireArchive(without)).rejects.toMatchObject({
      code: 'misconfigured',
      message: expect.stringMatching(
        /up to 20\S+ is not in the store any more but in memory: set auth_service/,
      ) as string,
    });
  });
});

describe('recordings of auth servers that share a store', () => {
  const of = (type: string, section: object): boolean =>
    keepsRecordingsApart({
      file: { teleport: { storage: { type } }, auth_service: { session_recording: 'node', ...section } },
    } as unknown as Parameters<typeof keepsRecordingsApart>[0]);
  it('are apart where no place is named for all', () => {
    expect(of('etcd', {})).toBe(true);
    expect(of('dynamodb', { session_recording: 'node-sync' })).toBe(true);
    expect(of('dir', {})).toBe(false);
    expect(of('etcd', { session_recording: 'off' })).toBe(false);
    expect(of('etcd', { audit_sessions_uri: { type: 'dir', path: '/shared' } })).toBe(false);
  });
});
