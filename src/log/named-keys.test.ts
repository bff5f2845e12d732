import { describe, expect, it } from 'vitest';
import { realWorld } from '../base/world.ts';
import { keyringOf, memoryKeyring, newKey } from './keyring.ts';
import { memoryDriver } from './memory-driver.ts';
import { memoryLog } from './memory-log.ts';
import { namedKeys } from './named-keys.ts';
import { findOrphans } from './orphans.ts';
import { rewrapVault } from './rewrap.ts';

const secret = Uint8Array.from([1, 2, 3]);

describe('keys with a name', () => {
  it('are opened by it, made once, and gone for good when they were destroyed', async () => {
    const { vault } = memoryDriver();
    const keys = namedKeys(vault, memoryKeyring());
    expect(await keys.open('recording.a')).toBeUndefined();
    expect(await keys.create('recording.a', secret)).toBe('created');
    expect(await keys.create('recording.a', Uint8Array.from([9]))).toBe('exists');
    expect([...((await keys.open('recording.a')) ?? [])]).toEqual([1, 2, 3]);
    await keys.destroy('recording.a');
    expect(await keys.open('recording.a')).toBeUndefined();
    expect(await keys.create('recording.a', secret)).toBe('destroyed');
    await keys.create('recording.b', secret);
    await keys.forget('recording.b');
    expect(await keys.create('recording.b', secret)).toBe('created');
  });

  it('do not open under another name, nor without the keyring, and follow it to a new key', async () => {
    const { vault } = memoryDriver();
    const first = newKey(realWorld);
    await namedKeys(vault, keyringOf([first], realWorld)).create('recording.a', secret);
    const wrapped = await vault.get('data-key/recording.a');
    await vault.create('data-key/recording.b', wrapped ?? secret);
    const both = keyringOf([first, newKey(realWorld)], realWorld);
    await expect(namedKeys(vault, both).open('recording.b')).rejects.toMatchObject({ code: 'damaged' });
    await expect(namedKeys(vault, memoryKeyring()).open('recording.a')).rejects.toMatchObject({
      code: 'unavailable',
    });
    expect(await rewrapVault(vault, both)).toMatchObject({ rewrapped: 1 });
    expect([...((await namedKeys(vault, both).open('recording.a')) ?? [])]).toEqual([1, 2, 3]);
  });

  it('are no orphans of events, and have names of their own', async () => {
    const { vault } = memoryDriver();
    const keys = namedKeys(vault, memoryKeyring());
    await keys.create('recording.0b0a5b1e-3f2b-4c5d-8e9f-000000000001', secret);
    expect(await findOrphans(vault, memoryLog(), '2100-01-01T00:00:00.000Z')).toEqual([]);
    for (const name of ['', 'recording', 'recording.', 'recording./x', '0190.x', 'Recording.a'])
      await expect(keys.create(name, secret)).rejects.toMatchObject({ code: 'bad_request' });
  });
});
