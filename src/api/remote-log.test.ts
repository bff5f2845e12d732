import { describe, expect, it } from 'vitest';
import { collect, setUp, turn, until, useOwnClock } from './remote-log-testing.ts';

useOwnClock();

describe('following the log from afar', () => {
  it('gives history, then live, with marks where something is hidden and no secret anywhere', async () => {
    const { remote, add, link } = await setUp(['a', 'hidden', 'b', 'hidden']);
    const { got } = collect(remote);
    await turn();
    expect(got).toEqual(['1:a', '3:b', '4']);
    add('c');
    add('hidden');
    await turn();
    expect(got).toEqual(['1:a', '3:b', '4', '5:c', '6']);
    expect(link.bytes).not.toContain('TOP-SECRET');
    expect(remote.connection()).toEqual({ status: 'connected' });
    expect(remote.headSeen()).toBe(6);
  });

  it('shares one stream among readers, also those that meet on the way', async () => {
    const { remote, add, link } = await setUp(['a', 'b', 'c']);
    const first = collect(remote);
    const second = collect(remote);
    const third = collect(remote, 2);
    await turn();
    expect(link.paths).toEqual(['/v3/log/state?after=0', '/v3/log/state?after=2']);
    expect([...link.open].filter((body) => !body.destroyed)).toHaveLength(1);
    add('d');
    await turn();
    expect(first.got).toEqual(['1:a', '2:b', '3:c', '4:d']);
    expect(second.got).toEqual(first.got);
    expect(third.got).toEqual(['3:c', '4:d']);
  });

  it('goes on from its last position when the link breaks, reading nothing twice', async () => {
    const { remote, add, link, sink } = await setUp(['a', 'b']);
    const { got } = collect(remote);
    await turn();
    link.up = false;
    for (const body of link.open) body.destroy(new Error('ECONNRESET'));
    await turn();
    expect(remote.connection()).toMatchObject({ status: 'away' });
    add('c');
    await until(() => {
      expect(remote.connection()).toMatchObject({ status: 'away', reason: 'no auth server answers' });
    });
    link.up = true;
    await until(() => {
      expect(remote.connection()).toEqual({ status: 'connected' });
      expect(got).toEqual(['1:a', '2:b', '3:c']);
    });
    expect(link.paths.at(-1)).toBe('/v3/log/state?after=2&id=e2');
    expect(sink.lines.filter((line) => line.startsWith('warn'))).toHaveLength(1);
  });

  it('goes on over another connection when it is to dial again, and nobody notices', async () => {
    const { remote, add, link, sink } = await setUp(['a', 'b']);
    const { got } = collect(remote);
    await turn();
    remote.dialAgain();
    add('c');
    await turn();
    expect(link.paths).toEqual(['/v3/log/state?after=0', '/v3/log/state?after=2&id=e2']);
    expect(got).toEqual(['1:a', '2:b', '3:c']);
    expect(remote.connection()).toEqual({ status: 'connected' });
    expect(sink.lines.filter((line) => line.startsWith('warn'))).toEqual([]);
  });

  it('ends with cursor_too_old when what it needs was trimmed, or is of another log', async () => {
    const { remote, trimmed } = await setUp(['a', 'b', 'c']);
    trimmed.before = 2;
    const old = collect(remote, 1);
    const future = collect(remote, 99);
    await turn();
    expect([old.ended(), future.ended()]).toEqual(['cursor_too_old', 'cursor_too_old']);
  });

  it('is told when a snapshot is the shorter way, unless each event counts for it', async () => {
    const { remote, link, server } = await setUp(['a', 'b', 'c']);
    server.views = [6_000, 5_001];
    const [newest, all] = [collect(remote, 0, 'newest'), collect(remote)];
    await turn();
    expect([newest.ended(), newest.got]).toEqual(['far_behind', []]);
    await until(() => {
      expect([all.ended(), all.got]).toEqual(['', ['1:a', '2:b', '3:c']]);
    });
    expect(link.paths).toEqual(['/v3/log/state?after=0&wanted=newest', '/v3/log/state?after=0']);
  });

  it('reads on where what it would begin from is hardly newer', async () => {
    const { remote, server } = await setUp(['a', 'b', 'c']);
    // One of the views of the server has not caught up either.
    server.views = [6_000, 5_000];
    const newest = collect(remote, 0, 'newest');
    await until(() => {
      expect(newest.got).toEqual(['1:a', '2:b', '3:c']);
    });
  });

  it('tries on, and says why, when it is refused', async () => {
    const { remote } = await setUp(['a'], 'audit');
    const { ended } = collect(remote);
    await turn();
    expect(remote.connection()).toMatchObject({ reason: 'the audit log is not open to node:h' });
    expect(ended()).toBe('');
  });

  it('ends its stream with its last reader, and completes readers when closed', async () => {
    const { remote, link } = await setUp(['a']);
    const first = collect(remote);
    await turn();
    first.unsubscribe();
    await turn();
    expect([...link.open].every((body) => body.destroyed)).toBe(true);
    const second = collect(remote);
    remote.close();
    expect(second.ended()).toBe('complete');
    expect(collect(remote).ended()).toBe('complete');
  });

  it('ends every stream when the server stops', async () => {
    const { remote, stopping } = await setUp(['a']);
    collect(remote);
    await turn();
    stopping.abort();
    await turn(20);
    expect(remote.connection()).toMatchObject({ reason: 'the auth server ended the stream' });
  });

  it('reads no more of the store than a slow reader takes', async () => {
    const { remote, link, reads } = await setUp(Array.from({ length: 5_000 }, () => 'x'));
    link.stalled = true;
    const { got } = collect(remote);
    await turn(1_000);
    expect(got).toEqual([]);
    expect(reads.length).toBeLessThan(1_000);
    link.stalled = false;
    await turn(1_000);
    expect(got).toHaveLength(5_000);
  });
});

describe('reading a stored state from afar', () => {
  it('gives what may be seen, and undefined for the rest', async () => {
    const { remote } = await setUp(['a', 'b']);
    expect(await remote.snapshot('users.1')).toEqual({ position: 2, state: { n: 1 } });
    expect(await remote.snapshot('secrets.1')).toBeUndefined();
    expect(await remote.snapshot('absent.1')).toBeUndefined();
  });

  it('waits for an auth server that is away', async () => {
    const { remote, link } = await setUp(['a', 'b']);
    link.up = false;
    const snapshot = remote.snapshot('users.1');
    await turn(1_000);
    link.up = true;
    await turn(60_000);
    expect(await snapshot).toMatchObject({ position: 2 });
  });
});
