import { EventEmitter } from 'node:events';
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { beatProtocol, beatWhileWorking, watchBeats } from './beats.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const socket = { alpnProtocol: beatProtocol };
const older = { alpnProtocol: 'http/1.1' };

describe('a server that works on a request', () => {
  const work = (over: object) => {
    const response = Object.assign(new EventEmitter(), { headersSent: false, destroyed: false, beats: 0 });
    const writeProcessing = (): number => response.beats++;
    const outgoing = Object.assign(response, { writeProcessing });
    beatWhileWorking({ socket: over } as unknown as IncomingMessage, outgoing as unknown as ServerResponse);
    return response;
  };

  it('says so twice a second until it answers', () => {
    const response = work(socket);
    vi.advanceTimersByTime(1_600);
    expect(response.beats).toBe(3);
    response.headersSent = true;
    vi.advanceTimersByTime(5_000);
    expect(response.beats).toBe(3);
  });

  it('stops when the caller has left', () => {
    const response = work(socket);
    response.emit('close');
    vi.advanceTimersByTime(5_000);
    expect(response.beats).toBe(0);
  });

  it('says nothing to a caller who does not know what it means', () => {
    expect(vi.getTimerCount()).toBe(0);
    work(older);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a caller who waits', () => {
  const wait = (over: object) => {
    const outgoing = Object.assign(new EventEmitter(), { destroyed: false, silences: 0 });
    watchBeats(outgoing as unknown as ClientRequest, () => outgoing.silences++);
    outgoing.emit('socket', over);
    return outgoing;
  };

  it('hears that a server is silent after a second and a half, and no sooner', async () => {
    const outgoing = wait(socket);
    await vi.advanceTimersByTimeAsync(1_499);
    expect(outgoing.silences).toBe(0);
    await vi.advanceTimersByTimeAsync(2);
    expect(outgoing.silences).toBe(1);
  });

  it('waits for as long as it beats, and for what it beats while this process was busy', async () => {
    const outgoing = wait(socket);
    for (let n = 0; n < 20; n++) {
      await vi.advanceTimersByTimeAsync(1_400);
      outgoing.emit('information');
    }
    expect(outgoing.silences).toBe(0);
    // The timer is late: it and the beat come in one turn.
    vi.advanceTimersByTime(1_500);
    outgoing.emit('information');
    await vi.advanceTimersByTimeAsync(100);
    expect(outgoing.silences).toBe(0);
    outgoing.emit('close');
  });

  it('waits for an older server without limit, and for nobody once there is an answer', async () => {
    const [ofOlder, answered] = [wait(older), wait(socket)];
    answered.emit('response');
    await vi.advanceTimersByTimeAsync(60_000);
    expect([ofOlder.silences, answered.silences]).toEqual([0, 0]);
  });
});
