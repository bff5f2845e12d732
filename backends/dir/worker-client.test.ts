import { describe, expect, it } from 'vitest';
import { noHash } from '../../src/log/own-hash.ts';
import { WorkerClient } from './worker-client.ts';

/** A thread that opens, answers reads, and dies of a commit. */
const dying = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort } from 'node:worker_threads';
    parentPort.on('message', ({ id, operation }) => {
      if (operation === 'append' || operation === 'create') process.exit(1);
      parentPort.postMessage({ id, answer: operation === 'page' ? [] : undefined });
      if (operation === 'close') parentPort.close();
    });`)}`,
);

describe('a worker thread that dies', () => {
  it('leaves the write in doubt that was under way, and is replaced', async () => {
    const client = new WorkerClient('/nowhere', 'write', dying);
    const page = { partition: 'state', from: 1, after: undefined, maxBytes: 1 } as const;
    expect(await client.call('page', page)).toEqual([]);
    const append = client.call('append', {
      partition: 'state',
      after: { slot: 0, hash: noHash },
      batch: Buffer.alloc(1),
    });
    const read = client.call('page', page);
    await expect(append).rejects.toMatchObject({ code: 'ambiguous' });
    await expect(read).rejects.toMatchObject({ code: 'unavailable' });
    const create = client.call('create', { table: 'vault', key: 'k', value: Buffer.alloc(1) });
    await expect(create).rejects.toMatchObject({ code: 'ambiguous' });
    expect(await client.call('page', page)).toEqual([]);
    await client.close();
    await expect(client.call('page', page)).rejects.toMatchObject({ code: 'unavailable' });
  });
});
