import { duplexPair } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { turnedAwayAlert } from '../base/handshake-gate.ts';
import { NoAnswerInTime, TurnedAway } from './no-answer.ts';
import { secure } from './tls-dial.ts';

const material = { ca: [], serverName: 'example' };

describe('a handshake with a server', () => {
  it('that turns its clients away fails as that, before anything was done', async () => {
    const [near, far] = duplexPair();
    far.once('data', () => far.end(turnedAwayAlert));
    const dialled = secure(near, material, new AbortController().signal);
    await expect(dialled).rejects.toBeInstanceOf(TurnedAway);
    await expect(dialled).rejects.toMatchObject({ code: 'unavailable', outcome: 'nothing' });
    expect(near.destroyed).toBe(true);
  });

  it('that just closes, or says nothing in time, fails as something else', async () => {
    const [near, far] = duplexPair();
    far.once('data', () => far.end());
    const closed = secure(near, material, new AbortController().signal);
    await expect(closed).rejects.not.toBeInstanceOf(TurnedAway);
    await expect(closed).rejects.toThrow();
    const ended = new AbortController();
    const late = secure(duplexPair()[0], material, ended.signal);
    ended.abort();
    await expect(late).rejects.toBeInstanceOf(NoAnswerInTime);
  });
});
