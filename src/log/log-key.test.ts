import { beforeEach, describe, expect, it } from 'vitest';
import type { ClusterLog } from './event-log.ts';
import type { Fact } from './event.ts';
import { logKeyStream, openHeadSigner, readLogKeys } from './log-key.ts';
import { memoryDriver, memoryStore } from './memory-driver.ts';
import { newestHead } from './signed-head-append.ts';
import { addEvents, cause, openOn, signNow } from './signed-head-testing.ts';
import { verifyLog } from './verify.ts';

const store = { current: memoryStore() };
let log: ClusterLog;
beforeEach(async () => {
  store.current = memoryStore();
  log = await openOn(store.current);
});

async function add(...facts: Fact[]): Promise<void> {
  const expected = await log.state.revision(logKeyStream);
  await log.state.append([{ stream: logKeyStream, expected, facts }], cause);
}

/** Facts that this release does not know, and keys that are not what they claim to be. */
const unknown: readonly (readonly [string, Fact])[] = [
  ['of a later release', { type: 'log.key_retired', data: { keyId: 'k' } }],
  ['with another form', { type: 'log.key_created', data: { keyId: 'k', publicKeys: [] } }],
  ['whose key cannot be read', { type: 'log.key_created', data: { keyId: 'k', publicKey: 'none' } }],
];

describe('the keys of the log', () => {
  it('are made once, and the same for whoever opens them next', async () => {
    const first = await openHeadSigner(log.state, cause);
    const next = await openHeadSigner(log.state, cause);
    expect(next.key).toEqual(first.key);
    expect(await readLogKeys(log.state)).toEqual([first.key]);
  });

  it.each(unknown)('are read beside a fact %s, so that heads stay readable', async (_what, fact) => {
    const { key } = await openHeadSigner(log.state, cause);
    await addEvents(log, 'state', 2);
    const head = await signNow(log, 'state');
    await add(fact);
    expect(await readLogKeys(log.state)).toEqual([key]);
    expect(await newestHead(log.state, 'state')).toMatchObject({ head });
    expect(await verifyLog(memoryDriver(store.current))).toMatchObject({ bad: undefined, keys: [key] });
  });

  it.each(unknown)('sign nothing where the newest fact is one %s', async (_what, fact) => {
    await openHeadSigner(log.state, cause);
    await add(fact);
    await expect(openHeadSigner(log.state, cause)).rejects.toMatchObject({
      code: 'unavailable',
      message: `log-key holds a fact this version does not know: ${fact.type}`,
    });
  });

  it('do not count under an id that is not their own', async () => {
    const { key } = await openHeadSigner(log.state, cause);
    await add({ type: 'log.key_created', data: { keyId: 'another', publicKey: key.publicKey } });
    expect(await readLogKeys(log.state)).toEqual([key]);
  });

  it('are refused when the private key is of another public key', async () => {
    const other = await openOn(memoryStore());
    const { key } = await openHeadSigner(other.state, cause);
    const { privateKey } = await openHeadSigner(log.state, cause);
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
    await add({ type: 'log.key_created', data: key, secrets: { private: Buffer.from(pem) } });
    await expect(openHeadSigner(log.state, cause)).rejects.toMatchObject({ code: 'damaged' });
  });
});
