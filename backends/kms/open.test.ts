import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import type { Keyring } from '../../src/log/keyring.ts';
import { keyringChain, memoryKeyring } from '../../src/log/keyring.ts';
import { memoryDriver } from '../../src/log/memory-driver.ts';
import { openLog } from '../../src/log/open-log.ts';
import { rewrapVault, surveyVault } from '../../src/log/rewrap.ts';
import { wrappedUnder } from '../../src/log/wrapped-key.ts';
import { keepingSink } from '../conformance/trial.ts';
import { DataKeyCache } from './data-key-cache.ts';
import { openKmsKeyring } from './open.ts';
import { arnOf, type StandIn, startStandIn } from './stand-in.ts';

const dataKey = Buffer.alloc(32, 7);
let kms: StandIn;
beforeEach(async () => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIATEST');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
  kms = await startStandIn(['one', 'two']);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await kms.close();
});
const open = (keyId = 'one', patienceMs = 0, sink = silentLog): Promise<Keyring> =>
  openKmsKeyring(
    { keyId, region: 'eu-test-1', endpoint: kms.endpoint, patienceMs, attemptTimeoutMs: 200 },
    { sink, world: realWorld },
  );

describe('wrapping a data key by the key service', () => {
  it('sends a signed Encrypt with key and context, and opens by Decrypt with the same', async () => {
    const wrapped = await (await open()).wrap(dataKey, 'event.name');
    expect(wrappedUnder(wrapped)).toBe(arnOf('one'));
    expect(Buffer.from(wrapped).includes(dataKey)).toBe(false);
    expect(Buffer.from(await (await open()).unwrap(wrapped, 'event.name'))).toEqual(dataKey);
    const context = { purpose: 'teleport-log', 'data-key': 'event.name' };
    expect(kms.calls.map(({ target, body }) => [target, body.KeyId, body.EncryptionContext])).toEqual([
      ['TrentService.Encrypt', 'one', { ...context, 'data-key': 'probe' }],
      ['TrentService.Encrypt', 'one', context],
      ['TrentService.Encrypt', 'one', { ...context, 'data-key': 'probe' }],
      ['TrentService.Decrypt', arnOf('one'), context],
    ]);
    for (const call of kms.calls) expect(call.authorization).toContain('/eu-test-1/kms/aws4_request');
  });

  it('opens under no other name, and nothing that was changed', async () => {
    const ring = await open();
    const wrapped = Buffer.from(await ring.wrap(dataKey, 'a'));
    await ring.unwrap(wrapped, 'a');
    await expect(ring.unwrap(wrapped, 'b')).rejects.toMatchObject({ code: 'damaged' });
    wrapped[wrapped.length - 1] = (wrapped.at(-1) ?? 0) ^ 1;
    await expect(ring.unwrap(wrapped, 'a')).rejects.toMatchObject({ code: 'damaged' });
  });

  it('asks once for what is asked for again, also at the same moment', async () => {
    const ring = await open();
    const wrapped = await ring.wrap(dataKey, 'a');
    kms.calls.length = 0;
    await Promise.all([ring.unwrap(wrapped, 'a'), ring.unwrap(wrapped, 'a')]);
    await ring.unwrap(wrapped, 'a');
    expect(kms.calls).toHaveLength(1);
  });

  it('goes on with what it knows while the service is away, says so for the rest, and comes back', async () => {
    const ring = await open();
    const [known, other] = [await ring.wrap(dataKey, 'a'), await ring.wrap(dataKey, 'b')];
    await ring.unwrap(known, 'a');
    kms.fail = 'InternalException';
    expect(Buffer.from(await ring.unwrap(known, 'a'))).toEqual(dataKey);
    const away = { code: 'unavailable', message: expect.stringContaining('does not answer') as string };
    await expect(ring.unwrap(other, 'b')).rejects.toMatchObject(away);
    await expect(ring.wrap(dataKey, 'c')).rejects.toMatchObject(away);
    kms.fail = 'hang';
    await expect(ring.unwrap(other, 'b')).rejects.toMatchObject(away);
    kms.fail = undefined;
    expect(Buffer.from(await ring.unwrap(other, 'b'))).toEqual(dataKey);
  });
});

describe('opening the key service', () => {
  it.each([
    ['NotFoundException', 'no such key'],
    ['DisabledException', 'enable it'],
    ['AccessDeniedException', 'kms:Encrypt'],
  ])('is refused at %s, at once and with what to do', async (name, what) => {
    kms.fail = name;
    await expect(open('one', 60_000)).rejects.toMatchObject({
      code: 'misconfigured',
      message: expect.stringContaining(what) as string,
    });
  });

  it('waits for a service that is away, and ends with what it said', async () => {
    kms.fail = 'InternalException';
    await expect(open('one', 0)).rejects.toMatchObject({ code: 'unavailable' });
    const sink = keepingSink();
    const opening = open('one', 60_000, {
      ...sink,
      warn: (message, fields) => {
        sink.warn(message, fields);
        kms.fail = undefined;
      },
    });
    await opening;
    expect(sink.lines.join()).toContain('this auth server waits for the key service');
  });

  it('does not wait for a region that nobody named', async () => {
    vi.stubEnv('AWS_CONFIG_FILE', '/nonexistent');
    vi.stubEnv('AWS_REGION', undefined);
    const options = { keyId: 'one', region: undefined, endpoint: kms.endpoint, patienceMs: 60_000 };
    await expect(openKmsKeyring(options, { sink: silentLog, world: realWorld })).rejects.toMatchObject({
      code: 'misconfigured',
      message: expect.stringContaining('kms_region') as string,
    });
  });

  it('names a key that is not there', async () => {
    await expect(open('three')).rejects.toMatchObject({
      message: expect.stringContaining('three') as string,
    });
  });
});

describe('a vault', () => {
  it('moves from a keyring to the key service, and on to another key', async () => {
    const driver = memoryDriver();
    const ring = memoryKeyring();
    const log = await openLog({ driver, keyring: ring, world: realWorld, writer: 't', sink: silentLog });
    const facts = [{ type: 'a.b', data: {}, secrets: { key: dataKey } }];
    await log.state.append([{ stream: 'a-1', expected: 0, facts }], {
      at: realWorld.now(),
      actor: 'admin',
      requestId: 'r',
    });
    await rewrapVault(driver.vault, keyringChain(await open('one'), ring));
    expect([...(await surveyVault(driver.vault)).keys()]).toEqual([arnOf('one')]);
    await rewrapVault(driver.vault, await open('two'));
    expect([...(await surveyVault(driver.vault)).keys()]).toEqual([arnOf('two')]);
  });
});

describe('the cache of data keys', () => {
  it('is bounded, and gives up first what was not used for longest', async () => {
    const cache = new DataKeyCache(2);
    const fetched: string[] = [];
    const get = (name: string): Promise<Uint8Array> =>
      cache.get(name, () => {
        fetched.push(name);
        return Promise.resolve(dataKey);
      });
    for (const name of ['a', 'b', 'a', 'c', 'a', 'b']) await get(name);
    expect(fetched).toEqual(['a', 'b', 'c', 'b']);
  });
});
