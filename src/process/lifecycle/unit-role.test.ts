import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ServiceManager } from './service-manager.ts';
import { UnitRole } from './unit-role.ts';

let directory: string;
let pidFile: string;
let told: string[];
const tell = (text: string): Promise<void> => {
  told.push(text);
  return Promise.resolve();
};
const manager: ServiceManager = {
  listens: true,
  ready: (status) => tell(`ready, ${status}`),
  reloading: () => tell('reloading'),
  stopping: () => tell('stopping'),
  status: tell,
  extend: (ms) => tell(`extend ${ms}`),
  keepAlive: () => () => undefined,
};
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'unit-role-'));
  pidFile = join(directory, 'pid');
  told = [];
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

describe('what systemd and the pid file know of a process', () => {
  it('is that it waits, then that it serves, how a reload failed, and that it is gone', async () => {
    const unit = new UnitRole(manager, { pidFile, hasPredecessor: false });
    unit.say('waiting to join: no route');
    unit.reloading();
    expect(existsSync(pidFile)).toBe(false);
    await unit.beMain('waiting to join: no route');
    expect(readFileSync(pidFile, 'utf8')).toBe(String(process.pid));
    unit.say('waiting to join: no token');
    unit.reloading();
    unit.reloadFailed(new Error('line 3'));
    await unit.beMain('serving');
    unit.say('serving, but proxy: auth is away');
    await unit.stopping();
    unit.leave();
    expect(existsSync(pidFile)).toBe(false);
    const failed = '; the last reload failed: line 3';
    expect(told).toEqual([
      'waiting to join: no route',
      'ready, waiting to join: no route',
      'waiting to join: no token',
      'reloading',
      `ready, waiting to join: no token${failed}`,
      `ready, serving${failed}`,
      `serving, but proxy: auth is away${failed}`,
      'stopping',
    ]);
  });

  it('is this process again when a successor ended that had made itself the main one', async () => {
    const unit = new UnitRole(manager, { pidFile, hasPredecessor: false });
    await unit.beMain('serving');
    writeFileSync(pidFile, '4711');
    unit.reloadFailed(new Error('ended when it had begun to serve'));
    expect(readFileSync(pidFile, 'utf8')).toBe(String(process.pid));
    expect(told.at(-1)).toBe('ready, serving; the last reload failed: ended when it had begun to serve');
    rmSync(directory, { recursive: true });
    unit.reloadFailed(new Error('no'));
    expect(told.at(-1)).toMatch(/^ready, serving; the last reload failed: no; cannot write the pid file /);
    mkdirSync(directory);
  });

  it('is nothing of one that only wants to take over, nor of one that has handed over', async () => {
    const successor = new UnitRole(manager, { pidFile, hasPredecessor: true });
    successor.say('waiting to join: no route');
    successor.reloadFailed(new Error('line 3'));
    successor.leave();
    expect(told).toEqual([]);
    const former = new UnitRole(manager, { pidFile, hasPredecessor: false });
    await former.beMain('serving');
    former.handOver();
    former.say('serving, but proxy: auth is away');
    await former.stopping();
    former.leave();
    expect(told).toEqual(['ready, serving']);
    expect(existsSync(pidFile)).toBe(true);
  });
});
