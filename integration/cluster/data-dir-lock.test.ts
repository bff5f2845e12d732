import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../src/base/log-sink.ts';
import { processRef } from '../../src/base/process-ref.ts';
import {
  type DataDirLock,
  lockDataDir,
  type LockOptions,
} from '../../src/process/lifecycle/data-dir-lock.ts';

let dir = '';
const held: DataDirLock[] = [];
const children: ChildProcess[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lock-'));
});
afterEach(() => {
  for (const lock of held.splice(0)) lock.release();
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

function lock(options: Partial<LockOptions> = {}): DataDirLock {
  const made = lockDataDir(dir, { inherited: undefined, hasPredecessor: false, sink: silentLog, ...options });
  held.push(made);
  return made;
}

describe('the lock of a data directory', () => {
  it('is one daemon’s, which is named to whoever is refused', () => {
    const first = lock();
    expect(() => lock()).toThrow(/is in use by another process, which is starting/);
    first.sign();
    expect(() => lock()).toThrow(`${dir} is in use by process ${process.pid}: two daemons cannot share`);
    first.release();
    first.release();
    lock();
  });

  it('does not go by numbers of processes', () => {
    // A daemon that was killed, whose number somebody has now.
    writeFileSync(join(dir, 'daemon.lock'), JSON.stringify(processRef(process.pid)));
    const now = lock();
    // Its holder is of another container.
    writeFileSync(join(dir, 'daemon.lock'), JSON.stringify({ pid: 1, startTime: '-' }));
    expect(() => lock()).toThrow(/the last to serve was 1, which is not seen here/);
    now.release();
  });

  it('is shared with a successor, until both have let go', async () => {
    const first = lock();
    const successor = spawn('sleep', ['60'], { stdio: ['ignore', 'ignore', 'ignore', first.fd] });
    children.push(successor);
    await once(successor, 'spawn');
    first.release();
    expect(() => lock()).toThrow(/is in use/);
    successor.kill('SIGKILL');
    await once(successor, 'exit');
    lock();
  });

  it('is taken over by the open file that was handed on', () => {
    const first = lock();
    // In this process both are one descriptor.
    const second = lock({ inherited: first.fd, hasPredecessor: true });
    second.sign();
    expect(() => lock()).toThrow(`process ${process.pid}`);
    held.splice(0, 1);
  });

  it('of another directory is refused by a successor, which would be another machine', () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'lock-'));
    const other = lockDataDir(elsewhere, { inherited: undefined, hasPredecessor: false, sink: silentLog });
    expect(() => lock({ inherited: other.fd, hasPredecessor: true })).toThrow(
      `data_dir is ${dir} now, but the previous process serves from ${elsewhere}: a reload cannot change it`,
    );
    expect(existsSync(join(dir, 'daemon.lock'))).toBe(false);
    other.release();
    rmSync(elsewhere, { recursive: true });
  });

  it('keeps no successor of an older release from starting', () => {
    lock();
    const warned: unknown[] = [];
    const without = lock({
      hasPredecessor: true,
      sink: { ...silentLog, warn: (text, fields) => warned.push([text, fields]) },
    });
    expect(without.fd).toBeUndefined();
    expect(warned).toHaveLength(1);
  });

  it('is done without where the file system has none, and that is told', () => {
    const warned: unknown[] = [];
    const without = lock({
      ask: () => ({ status: 'impossible', why: 'flock: No locks available' }),
      sink: { ...silentLog, warn: (text, fields) => warned.push([text, fields]) },
    });
    expect(without.fd).toBeUndefined();
    expect(warned).toEqual([
      [
        `nothing keeps a second daemon from ${dir} while this one runs`,
        { reason: 'flock: No locks available' },
      ],
    ]);
  });
});
