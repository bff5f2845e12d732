import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../base/log-sink.ts';
import { realWorld } from '../../base/world.ts';
import type { ClusterLog } from '../../log/event-log.ts';
import { noKeyring, sharedTestKeyring } from '../../log/keyring.ts';
import { memoryDriver, memoryStore } from '../../log/memory-driver.ts';
import { openLog, type LogOptions } from '../../log/open-log.ts';
import { keepKnownPlaces, readKnownPlaces, writeKnownPlaces } from './known-places.ts';

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'known-'));
});
afterEach(() => {
  rmSync(dataDir, { recursive: true });
});

const cause = { at: '2026-01-01T00:00:00.000Z', actor: 'admin', requestId: 'r' };
async function begun(options: Partial<LogOptions>): Promise<ClusterLog> {
  const driver = memoryDriver();
  const full = { driver, keyring: sharedTestKeyring, world: realWorld, writer: 'w', sink: silentLog };
  const log = await openLog({ ...full, ...options });
  const facts = [{ type: 'test.happened', data: {} }];
  await log.state.append([{ stream: 'a-1', expected: 0, facts }], cause);
  return log;
}

describe('what this machine knows of the log', () => {
  it('comes back, with whether its batches have MACs', async () => {
    for (const [keyring, authentic] of [
      [sharedTestKeyring, true],
      [noKeyring, false],
    ] as const) {
      const log = await begun({ keyring });
      writeKnownPlaces(log, { dataDir, store: 'here' });
      const { slot, hash } = log.stats().state;
      expect(readKnownPlaces(dataDir, 'here')).toEqual({
        state: { slot, hash: Buffer.from(hash, 'hex'), authentic, macKeyId: log.stats().state.macKeyId },
      });
      expect(log.stats().state.macKeyId !== undefined).toBe(authentic);
      expect(readKnownPlaces(dataDir, 'elsewhere')).toEqual({});
    }
  });

  it('is nothing before anything is written: a first start that failed stops no other', async () => {
    const options = { keyring: sharedTestKeyring, world: realWorld, writer: 'w', sink: silentLog };
    const log = await openLog({ ...options, driver: memoryDriver() });
    keepKnownPlaces(log, { dataDir, store: 'here', sink: silentLog }).close();
    expect(readdirSync(dataDir)).toEqual([]);
    const written = keepKnownPlaces(await begun({}), { dataDir, store: 'here', sink: silentLog });
    written.close();
    expect(readdirSync(dataDir)).toEqual(['log-known.json']);
  });

  it('is read from a file of the release before, which did not know of MACs', async () => {
    writeKnownPlaces(await begun({}), { dataDir, store: 'here' });
    const path = join(dataDir, 'log-known.json');
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll(/,"authentic":(true|false)/g, ''));
    expect(readKnownPlaces(dataDir, 'here').state).toMatchObject({ slot: 1, authentic: false });
  });

  it('keeps a log without MACs from being believed where they were known', async () => {
    writeKnownPlaces(await begun({}), { dataDir, store: 'here' });
    const { state } = readKnownPlaces(dataDir, 'here');
    // Its owner emptied the store, and gave up what was known of it.
    const known = { state: { slot: 0, hash: Buffer.alloc(32), authentic: state?.authentic === true } };
    await expect(begun({ known, keyring: sharedTestKeyring })).rejects.toMatchObject({
      code: 'misconfigured',
    });
  });

  it('stays as it was while the store cannot be read to its end', async () => {
    const store = memoryStore();
    const log = await begun({ driver: memoryDriver(store) });
    writeKnownPlaces(log, { dataDir, store: 'here' });
    await log.close();
    const known = readKnownPlaces(dataDir, 'here');
    const slots = store.slots.get('state');
    const whole = slots?.get(1) ?? expect.unreachable();
    slots?.set(1, Buffer.from('damaged'));
    const full = { keyring: sharedTestKeyring, world: realWorld, writer: 'w', sink: silentLog };
    const again = await openLog({ ...full, driver: memoryDriver(store), known });
    const places = keepKnownPlaces(again, { dataDir, store: 'here', sink: silentLog });
    expect(again.stats().state).toMatchObject({ slot: 0, damage: expect.any(String) as string });
    places.close();
    expect(readKnownPlaces(dataDir, 'here')).toEqual(known);
    slots?.set(1, whole);
    await again.state.head();
    places.close();
    expect(readKnownPlaces(dataDir, 'here')).toEqual(known);
  });
});
