import { describe, expect, it } from 'vitest';
import { collect, setUp, turn, until, useOwnClock } from './remote-log-testing.ts';

useOwnClock();

describe('a link to the auth server that is silent', () => {
  it('takes a link that falls silent for dead', async () => {
    const { remote, link } = await setUp(['a']);
    collect(remote);
    await turn();
    await turn(20_000);
    expect(remote.connection()).toEqual({ status: 'connected' });
    expect(link.paths).toHaveLength(1);
    link.stalled = true;
    await turn(4_000);
    expect(remote.connection()).toEqual({ status: 'connected' });
    await until(() => {
      expect(remote.connection()).toMatchObject({ reason: 'the auth server was silent for 5000 ms' });
    });
    link.stalled = false;
    await until(() => {
      expect(remote.connection()).toEqual({ status: 'connected' });
    });
  });

  it('waits for three signs of life where the server says that they come seldom', async () => {
    const { remote, link } = await setUp(['a'], 'state', 10_000);
    collect(remote);
    await turn();
    await turn(20_000);
    link.stalled = true;
    await turn(15_000);
    expect(remote.connection()).toEqual({ status: 'connected' });
    await until(() => {
      expect(remote.connection()).toMatchObject({ reason: 'the auth server was silent for 30000 ms' });
    });
    link.stalled = false;
  });
});
