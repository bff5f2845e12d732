import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fakeWorld } from '../../api/testing.ts';
import { silentLog } from '../../base/log-sink.ts';
import type { StorageLocation } from '../configuration/storage-schema.ts';
import {
  type BackendEnvironment,
  openBackend,
  openBackendForReading,
  openedWithin,
  openingMs,
  openKeyService,
} from './open-backend.ts';

/** What each store was opened with: here none is on the network. */
const opened = vi.hoisted(() => ({ calls: [] as unknown[][] }));
const opener = vi.hoisted(() => (what: string) => (...args: unknown[]) => {
  opened.calls.push([what, ...args]);
  return Promise.resolve(what);
});
vi.mock('../../../backends/etcd/open.ts', () => ({ openEtcdDriver: opener('etcd') }));
vi.mock('../../../backends/dynamodb/open.ts', () => ({ openDynamodbDriver: opener('dynamodb') }));
vi.mock('../../../backends/kms/open.ts', () => ({ openKmsKeyring: opener('kms') }));

const env: BackendEnvironment = { sink: silentLog, world: fakeWorld() };
const etcd = { type: 'etcd', dialTimeoutMs: 3_000, prefix: 'p' } as unknown as StorageLocation;
const dynamodb = { type: 'dynamodb', retryPeriodMs: 5_000, table: 't' } as unknown as StorageLocation;

let path = '';
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'open-backend-'));
  opened.calls = [];
});
afterEach(() => {
  rmSync(path, { recursive: true });
});

describe('how long an opening waits for a store', () => {
  it('is what its settings say, and 10 s for a directory', () => {
    expect([{ type: 'dir', path } as const, etcd, dynamodb].map(openingMs)).toEqual([10_000, 3_000, 5_000]);
  });
  it('is no longer than what is left, and no longer than it would be', () => {
    const within = (ms: number) => [etcd, dynamodb].map((one) => openingMs(openedWithin(one, ms)));
    expect([within(4_000), within(1)]).toEqual([
      [3_000, 4_000],
      [1, 1],
    ]);
    expect(openedWithin(etcd, 1)).toEqual({ ...etcd, dialTimeoutMs: 1 });
    expect(openedWithin({ type: 'dir', path }, 1)).toEqual({ type: 'dir', path });
  });
});

describe('the door to the stores', () => {
  it('opens the one that is configured, with all that it was given', async () => {
    expect([await openBackend(etcd, env), await openBackend(dynamodb, env)]).toEqual(['etcd', 'dynamodb']);
    expect(opened.calls).toEqual([
      ['etcd', etcd, env],
      ['dynamodb', dynamodb, env],
    ]);
  });
  it('makes nothing in one that is only read', async () => {
    await openBackendForReading(etcd, env);
    expect(opened.calls).toEqual([['etcd', etcd, { ...env, reading: true }]]);
    const folder = { type: 'dir', path: join(path, 'log') } as const;
    await expect(openBackendForReading(folder, env)).rejects.toMatchObject({ code: 'not_found' });
    expect(readdirSync(path)).toEqual([]);
  });
  it('makes a directory that is not there, which can then be read', async () => {
    const folder = { type: 'dir', path: join(path, 'log') } as const;
    const driver = await openBackend(folder, env);
    await driver.close();
    const reader = await openBackendForReading(folder, env);
    await reader.close();
    expect(readdirSync(path)).toEqual(['log']);
    expect(opened.calls).toEqual([]);
  });
  it('asks a key service by its id, region and address', async () => {
    const keys = { status: 'kms', keyId: 'k', region: 'r', endpoint: 'https://e' } as const;
    await openKeyService(keys, env);
    expect(opened.calls).toEqual([['kms', { keyId: 'k', region: 'r', endpoint: 'https://e' }, env]]);
  });
});
