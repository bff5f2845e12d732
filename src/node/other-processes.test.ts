import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { recordingSink } from '../api/testing.ts';
import { processRef } from '../base/process-ref.ts';
import type { LiveSession } from '../domain/live-sessions.ts';
import type { OtherProcesses } from './live-sessions.ts';
import { otherProcesses } from './other-processes.ts';

let directory: string;
const open: OtherProcesses[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sessions-'));
});
afterEach(() => {
  for (const one of open.splice(0)) one.close();
  rmSync(directory, { recursive: true, force: true });
});

const owner = processRef(process.pid) ?? expect.unreachable();
const session: LiveSession = {
  ...{ sid: '00000000-0000-4000-8000-000000000001', user: 'alice', login: 'root', from: '10.0.0.1' },
  startedAt: '2026-01-01T00:00:00.000Z',
};

function processOf(unique: string) {
  const [sink, onChange] = [recordingSink(), vi.fn()];
  const made = otherProcesses({ directory, owner, unique, sink, onChange });
  open.push(made);
  return { made, sink, onChange };
}

describe('processes of one node', () => {
  it('see what runs in the others, not their own, and learn of changes', async () => {
    const [old, successor] = [processOf('00000001'), processOf('00000002')];
    old.made.publish([session]);
    await vi.waitFor(() => {
      expect(successor.onChange).toHaveBeenCalled();
    });
    expect(successor.made.sessions()).toEqual([session]);
    expect(old.made.sessions()).toEqual([]);
    expect(old.onChange).not.toHaveBeenCalled();
    old.made.close();
    expect(successor.made.sessions()).toEqual([]);
  });

  it('pass over what they cannot read, and delete what a process left that is gone', () => {
    const { made } = processOf('00000001');
    const { pid, startTime } = owner;
    writeFileSync(join(directory, `${pid}.${startTime}-00000003.json`), '[{"sid":');
    const left = `${pid}.1-00000004.json`;
    writeFileSync(join(directory, left), JSON.stringify([session]));
    writeFileSync(join(directory, 'readme'), '');
    expect(made.sessions()).toEqual([]);
    expect(readdirSync(directory)).not.toContain(left);
    expect(readdirSync(directory)).toContain('readme');
  });

  it('warn once where they cannot tell each other', () => {
    const { made, sink } = processOf('00000001');
    rmSync(directory, { recursive: true });
    made.publish([session]);
    made.publish([session]);
    expect(sink.lines.filter((line) => line.includes('are not told to others'))).toHaveLength(1);
    expect(made.sessions()).toEqual([]);
  });
});
