import { describe, expect, it } from 'vitest';
import { WorkerClient } from './worker-client.ts';

/** A thread that opens, answers reads, and dies of a commit. */
const dying = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort } from 'node:worker_threads';
    parentPort.on('message', ({ id, operation }) => {
      if (operation === 'commit') process.exit(1);
      parentPort.postMessage({ id, answer: operation === 'page' ? [] : undefined });
      if (operation === 'close') parentPort.close();
    });`)}`,
);

describe('a worker thread that dies', () => {
  it('leaves the commit in doubt that was under way, and is replaced', async () => {
    const client = new WorkerClient('/nowhere', 'write', dying);
    const page = { partition: 'state', from: 1, maxBytes: 1 } as const;
    expect(await client.call('page', page)).toEqual([]);
    const commit = client.call('commit', { partition: 'state', slot: 1, batch: Buffer.alloc(1) });
    const read = client.call('page', page);
    await expect(commit).rejects.toMatchObject({ code: 'ambiguous' });
    await expect(read).rejects.toMatchObject({ code: 'unavailable' });
    expect(await client.call('page', page)).toEqual([]);
    await client.close();
    await expect(client.call('page', page)).rejects.toMatchObject({ code: 'unavailable' });
  });
});
