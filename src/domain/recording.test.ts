import { describe, expect, it } from 'vitest';
import { recording, type RecordingMode, recordingModeOf } from './recording.ts';
import { scenario } from './testing.ts';

const newKey = { keyId: 'key-1', publicKey: 'AAAA', privateKey: Uint8Array.from([1]) };
const made = { type: 'recording.key_made', data: { keyId: 'key-1', publicKey: 'AAAA' } } as const;
const configured = (mode: string) => ({ type: 'recording.configured', data: { mode } }) as const;
const configure = (mode: RecordingMode) => ({ type: 'configure-recording', mode, newKey }) as const;

describe('how sessions are recorded', () => {
  it('begins with a key, whose private half is a secret', () => {
    scenario(recording)()
      .when(configure('node'))
      .then({ ...made, secrets: { privateKey: Uint8Array.from([1]) } }, configured('node'));
  });

  it('is told once, and again when it changes, under the same key', () => {
    const before = [made, configured('node')];
    scenario(recording)(...before)
      .when(configure('node'))
      .then();
    const other = { ...configure('off'), newKey: { ...newKey, keyId: 'key-2' } };
    scenario(recording)(...before)
      .when(other)
      .then(configured('off'));
  });

  it('of a later release, in a way that is not known here, is by nodes', () => {
    expect(['node', 'node-sync', 'off', 'proxy', ''].map(recordingModeOf)).toEqual([
      'node',
      'node-sync',
      'off',
      'node',
      'node',
    ]);
  });
});
