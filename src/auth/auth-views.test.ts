import { describe, expect, it } from 'vitest';
import { CodedError } from '../base/errors.ts';
import type { ClusterLog, EventLog } from '../log/event-log.ts';
import { scriptedLog, type ScriptedLog } from '../views/testing.ts';
import { openAuthViews } from './auth-views.ts';

const clock = { now: () => '2026-01-01T00:00:00.000Z', monotonic: () => 0 };
const partition = (scripted: ScriptedLog): EventLog => scripted as unknown as EventLog;
const logOf = (state: ScriptedLog, presence: ScriptedLog): ClusterLog =>
  ({
    state: partition(state),
    presence: partition(presence),
    attempts: partition(scriptedLog()),
  }) as unknown as ClusterLog;

describe('the folds of an auth server', () => {
  it('are all closed again when the last of them cannot be opened', async () => {
    const [state, presence] = [scriptedLog(), scriptedLog()];
    state.head = () => Promise.reject(new CodedError('unavailable', 'the store is away'));
    await expect(openAuthViews(logOf(state, presence), clock)).rejects.toMatchObject({ code: 'unavailable' });
    // One reading for all.
    expect([state.begun.length, presence.begun.length]).toEqual([1, 1]);
    expect([state.readers.size, presence.readers.size]).toEqual([0, 0]);
  });

  it('have reached a position only when what they heard of has', async () => {
    const [state, presence] = [scriptedLog(), scriptedLog()];
    const views = await openAuthViews(logOf(state, presence), clock);
    state.tell({ position: 3 });
    expect(await views.fresh()).toBe(3);
    expect(views.heard.view.position()).toBe(3);
    views.heard.view.close();
    await expect(views.reached(4)).rejects.toMatchObject({ code: 'unavailable' });
    views.close();
  });

  it('do not wait for what decisions begin with, which is beside them', async () => {
    const [state, presence] = [scriptedLog(), scriptedLog()];
    const views = await openAuthViews(logOf(state, presence), clock);
    views.decided.close();
    state.tell({ position: 3 });
    expect(await views.fresh()).toBe(3);
    views.close();
  });

  it('are closed together', async () => {
    const [state, presence] = [scriptedLog(), scriptedLog()];
    const views = await openAuthViews(logOf(state, presence), clock);
    // What was heard of begins at the head of the log, and reads by itself.
    expect([state.readers.size, presence.readers.size]).toEqual([2, 1]);
    views.close();
    expect([state.readers.size, presence.readers.size]).toEqual([0, 0]);
  });
});
