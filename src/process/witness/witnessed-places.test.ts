import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recordingSink } from '../../api/testing.ts';
import type { ClusterLog } from '../../log/event-log.ts';
import { copyOfStore, type MemoryStore, memoryStore } from '../../log/memory-driver.ts';
import { addEvents, cause, openOn, signNow } from '../../log/signed-head-testing.ts';
import type { SignedHead } from '../../log/signed-head.ts';
import { lookForWitnessed } from './witnessed-places.ts';

let dir: string;
let path: string;
const opened: ClusterLog[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'witnessed-'));
  path = join(dir, 'heads of log');
});
afterEach(async () => {
  for (const log of opened.splice(0)) await log.close();
  rmSync(dir, { recursive: true });
});
async function open(store: MemoryStore): Promise<ClusterLog> {
  const log = await openOn(store);
  opened.push(log);
  return log;
}
const witnessed = (...heads: readonly SignedHead[]): void => {
  writeFileSync(path, heads.map((head) => `${JSON.stringify(head)}\n`).join(''));
};

/** What is known of a log after it was asked about the witness. */
async function found(log: ClusterLog): Promise<string | undefined> {
  const targets = [`file://${encodeURI(path)}`, 'https://witness.example/heads'];
  await lookForWitnessed(log, targets, recordingSink());
  const { state, audit } = log.stats();
  return state.wentBack ?? audit.wentBack;
}

/** A store, what it was before, and the head that was signed of it. */
async function signedStore(): Promise<{ store: MemoryStore; before: MemoryStore; head: SignedHead }> {
  const store = memoryStore();
  const log = await open(store);
  await addEvents(log, 'state', 2);
  await signNow(log, 'state');
  const before = copyOfStore(store);
  await addEvents(log, 'state', 3);
  return { store, before, head: await signNow(log, 'state') };
}

describe('a start beside a witness that is a file', () => {
  it('goes on where the store holds what was signed', async () => {
    const { store, head } = await signedStore();
    witnessed(head);
    expect(await found(await open(store))).toBeUndefined();
  });

  it('finds out that the store was put back', async () => {
    const { before, head } = await signedStore();
    witnessed(head);
    expect(await found(await open(before))).toContain(`read up to slot ${head.slot}, and ends at slot`);
  });

  it('finds out that the store has gone on another way since', async () => {
    const { before, head } = await signedStore();
    await addEvents(await open(before), 'state', 9);
    witnessed(head);
    expect(await found(await open(before))).toContain(
      `slot ${head.slot} of its state log is not what was read`,
    );
  });

  it('starts again once that is settled, whatever the witness still holds', async () => {
    const { before, head } = await signedStore();
    witnessed(head);
    const log = await open(before);
    await found(log);
    await log.recover('state', 'go on', cause);
    expect(await found(await open(before))).toBeUndefined();
    await addEvents(log, 'state', 9);
    expect(await found(await open(before))).toBeUndefined();
    // And what was signed since counts.
    const later = copyOfStore(before);
    await addEvents(log, 'state', 1);
    witnessed(head, await signNow(log, 'state'));
    expect(await found(await open(later))).toContain('went back');
  });

  it('passes over heads of another log, heads that nobody signed, and a file that is not there', async () => {
    const { before, head } = await signedStore();
    const other = await signedStore();
    expect(await found(await open(before))).toBeUndefined();
    witnessed(other.head, { ...head, slot: head.slot + 1 });
    expect(await found(await open(before))).toBeUndefined();
  });

  it('tells of a file that cannot be read, and starts', async () => {
    const { store } = await signedStore();
    const sink = recordingSink();
    await lookForWitnessed(await open(store), [`file://${encodeURI(dir)}`], sink);
    expect(sink.lines.join()).toContain('a witness cannot be asked whether the store went back');
  });
});
