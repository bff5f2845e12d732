import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { newBoxKeys } from '../../pki/sealed-box.ts';
import { testAbout } from '../../recording/testing.ts';
import type { NodeDeps } from '../node-deps.ts';
import { testAudit } from '../testing.ts';
import { openRecordings } from './open-recordings.ts';
import type { RecordedSession } from './session-recordings.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'recordings-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

const key = { keyId: 'k', publicKey: newBoxKeys().publicKey.toString('base64') };
const session: RecordedSession = {
  about: testAbout,
  details: { user: 'a', login: 'b', requestId: 'r', startedAt: testAbout.startedAt, addresses: {} },
  policy: 'usual',
  mayEnterOnFullDisk: () => false,
};

function open(recordingSpool?: string) {
  const { audit, world, sink } = testAudit();
  const auth = { call: () => new Promise(() => undefined) };
  const deps = { config: { recordingSpool }, world, sink, auth } as unknown as NodeDeps;
  return openRecordings(deps, audit, () => ({ key, mode: 'node' }));
}

it('keeps what is recorded in its directory, and counts what auth does not have', async () => {
  const recordings = open(join(directory, 'spool'));
  expect(recordings.pending()).toBe(0);
  const recording = await recordings.sessions.begin(session);
  expect([recordings.pending(), readdirSync(join(directory, 'spool')).length]).toEqual([1, 1]);
  await recording?.end('exit 0');
  recording?.told();
});

it('records nothing where no directory is for it', async () => {
  const recordings = open();
  expect(await recordings.sessions.begin(session)).toBeUndefined();
  expect(recordings.pending()).toBe(0);
  await recordings.stop();
  expect(existsSync(join(directory, 'spool'))).toBe(false);
});
