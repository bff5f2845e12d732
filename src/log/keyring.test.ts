import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { realWorld } from '../base/world.ts';
import { keyringOf, openKeyring } from './keyring.ts';

const dataKey = Buffer.alloc(32, 7);

describe('a keyring', () => {
  const key = (n: number): { id: string; key: Uint8Array } => ({
    id: n.toString(16).padStart(16, '0'),
    key: Buffer.alloc(32, n),
  });

  it('unwraps under older keys, and wraps under the newest', async () => {
    const old = await keyringOf([key(1)], realWorld).wrap(dataKey, 'k');
    const both = keyringOf([key(1), key(2)], realWorld);
    expect(Buffer.from(await both.unwrap(old, 'k'))).toEqual(dataKey);
    const wrapped = await both.wrap(dataKey, 'k');
    expect(Buffer.from(await keyringOf([key(2)], realWorld).unwrap(wrapped, 'k'))).toEqual(dataKey);
    await expect(keyringOf([key(1)], realWorld).unwrap(wrapped, 'k')).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(key(2).id) as string,
    });
  });

  it('unwraps neither for another name nor what was changed', async () => {
    const keyring = keyringOf([key(1)], realWorld);
    const wrapped = Buffer.from(await keyring.wrap(dataKey, 'k'));
    await expect(keyring.unwrap(wrapped, 'l')).rejects.toMatchObject({ code: 'damaged' });
    for (let at = 0; at < wrapped.length; at++) {
      const changed = Buffer.from(wrapped);
      changed[at] = (changed[at] ?? 0) ^ 1;
      const code = expect.stringMatching(/damaged|unavailable/) as string;
      await expect(keyring.unwrap(changed, 'k')).rejects.toMatchObject({ code });
      await expect(keyring.unwrap(wrapped.subarray(0, at), 'k')).rejects.toMatchObject({ code: 'damaged' });
    }
  });
});

describe('the keyring file', () => {
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'keyring-'));
    path = join(directory, 'keyring');
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  it('is made on first start, for its owner only, and kept', async () => {
    const wrapped = await (await openKeyring(path)).wrap(dataKey, 'k');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const text = readFileSync(path, 'utf8');
    expect(Buffer.from(await (await openKeyring(path)).unwrap(wrapped, 'k'))).toEqual(dataKey);
    expect(readFileSync(path, 'utf8')).toBe(text);
    expect(readdirSync(directory)).toEqual(['keyring']);
  });

  it('is refused when others can read it, naming the mend', async () => {
    await openKeyring(path);
    chmodSync(path, 0o640);
    await expect(openKeyring(path)).rejects.toMatchObject({
      code: 'misconfigured',
      message: expect.stringContaining(`chmod 0600 ${path}`) as string,
    });
  });

  it.each([
    '',
    '{}',
    '{"version":1,"keys":[]}',
    '{"version":2,"keys":[{"id":"0123456789abcdef","key":"AA=="}]}',
  ])('is refused and left alone when it holds %j', async (text) => {
    writeFileSync(path, text, { mode: 0o600 });
    await expect(openKeyring(path)).rejects.toMatchObject({ code: 'misconfigured' });
    expect(readFileSync(path, 'utf8')).toBe(text);
  });

  it('is refused when its directory is missing', async () => {
    await expect(openKeyring(join(directory, 'none', 'keyring'))).rejects.toMatchObject({
      code: 'misconfigured',
    });
  });
});
