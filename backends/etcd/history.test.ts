import { describe, expect, it } from 'vitest';
import { CodedError } from '../../src/base/errors.ts';
import { History } from './history.ts';
import type { Act, Peers } from './peers.ts';

const keptMs = 1_000;
const at = (revision: string) => (): Promise<string> => Promise.resolve(revision);

/** A history, and the revisions that etcd was asked to compact up to. */
function setUp(answer: () => void = () => undefined): { history: History; asked: string[] } {
  const asked: string[] = [];
  const client = {
    kv: {
      compact: ({ revision }: { revision: string }) => {
        asked.push(revision);
        answer();
        return Promise.resolve({});
      },
    },
  };
  const peers: Pick<Peers, 'call'> = {
    call: async <T>(act: Act<T>) => act(client as never, { deadline: 0 }),
  };
  return { history: new History(peers, keptMs), asked };
}

/** One that has made up for what an earlier process deleted. */
async function quiet(answer?: () => void): Promise<{ history: History; asked: string[] }> {
  const made = setUp(answer);
  await made.history.look(at('1'), 0);
  await made.history.look(at('1'), keptMs);
  expect(made.asked.splice(0)).toEqual(['1']);
  return made;
}

describe("etcd's own history", () => {
  it('is compacted once after a start: an earlier process may have deleted', async () => {
    const { history, asked } = setUp();
    await history.look(at('5'), 0);
    await history.look(at('9'), keptMs - 1);
    expect(asked).toEqual([]);
    await history.look(at('9'), keptMs);
    expect(asked).toEqual(['5']);
    expect(history.compactedRevision).toBe(5);
  });

  it('stays while nothing is deleted', async () => {
    const { history, asked } = await quiet();
    for (let n = 2; n < 20; n++) await history.look(at(String(n)), n * keptMs);
    expect(asked).toEqual([]);
  });

  it('is compacted up to the deletion, the kept time after the first look that followed', async () => {
    const { history, asked } = await quiet();
    history.freed('48');
    history.freed('45');
    // What a peer said before the deletion is no measure, nor what others wrote since.
    await history.look(at('30'), 10_000);
    history.freed('60');
    await history.look(at('61'), 10_000 + keptMs - 1);
    expect(asked).toEqual([]);
    await history.look(at('70'), 10_000 + keptMs);
    expect(asked).toEqual(['48']);
    // What was deleted since waits its own time.
    await history.look(at('80'), 20_000);
    expect(asked).toEqual(['48']);
    await history.look(at('90'), 20_000 + keptMs);
    expect(asked).toEqual(['48', '60']);
    await history.look(at('99'), 90_000);
    expect(asked).toEqual(['48', '60']);
  });

  it('is compacted up to the newest revision when that of the deletion is not known', async () => {
    const { history, asked } = await quiet();
    history.freed();
    history.freed('20');
    await history.look(at('50'), 10_000);
    await history.look(at('60'), 20_000);
    expect(asked).toEqual(['50']);
  });

  it('is compacted once more for what was deleted while etcd was asked for its revision', async () => {
    const { history, asked } = await quiet();
    history.freed();
    await history.look(() => {
      history.freed('51');
      return Promise.resolve('50');
    }, 10_000);
    await history.look(at('60'), 20_000);
    await history.look(at('60'), 30_000);
    await history.look(at('70'), 40_000);
    expect(asked).toEqual(['50', '51']);
  });

  it('is looked at again when etcd did not tell its revision', async () => {
    const { history, asked } = setUp();
    await expect(history.look(() => Promise.reject(new Error('away')), 0)).rejects.toThrow('away');
    await history.look(at('9'), 1);
    await history.look(at('10'), 1 + keptMs);
    expect(asked).toEqual(['9']);
  });

  it('may have been compacted further by another', async () => {
    let further = false;
    const { history, asked } = await quiet(() => {
      if (further) throw new Error('11 OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted');
    });
    further = true;
    history.freed('7');
    await history.look(at('7'), 10_000);
    await history.look(at('8'), 20_000);
    await history.look(at('9'), 30_000);
    expect(asked).toEqual(['7']);
    expect(history.compactedRevision).toBe(7);
  });

  it('is asked for again when etcd did not answer', async () => {
    let away = false;
    const { history, asked } = await quiet(() => {
      if (away) throw new CodedError('unavailable', 'no peer of etcd answers');
    });
    away = true;
    history.freed('7');
    await history.look(at('7'), 10_000);
    await expect(history.look(at('8'), 20_000)).rejects.toMatchObject({ code: 'unavailable' });
    expect(history.compactedRevision).toBe(1);
    away = false;
    await history.look(at('9'), 30_000);
    expect(asked).toEqual(['7', '7']);
    expect(history.compactedRevision).toBe(7);
  });

  it('is asked for anew when etcd was put back to a state before the deletion', async () => {
    let putBack = false;
    const { history, asked } = await quiet(() => {
      if (putBack)
        throw new Error('11 OUT_OF_RANGE: etcdserver: mvcc: required revision is a future revision');
    });
    history.freed('70');
    await history.look(at('70'), 10_000);
    history.freed('80');
    putBack = true;
    await history.look(at('50'), 20_000);
    putBack = false;
    await history.look(at('51'), 30_000);
    await history.look(at('52'), 40_000);
    await history.look(at('53'), 90_000);
    expect(asked).toEqual(['70', '51']);
  });
});
