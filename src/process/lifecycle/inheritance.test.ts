import fc from 'fast-check';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { adoptInheritance } from './inheritance.ts';

/** A socket, whatever the number. */
const isSocket = (): boolean => true;
const web = { host: '0.0.0.0', port: 3080 };

describe('adopting what a predecessor left', () => {
  it('gives a listener to who wants that name and address, once', () => {
    const env = {
      TELEPORT_OS_FILES: JSON.stringify([{ name: 'proxy:web', addr: '0.0.0.0:3080', fd: 5 }]),
    };
    const inheritance = adoptInheritance(env, { isSocket });
    expect(inheritance.take('node', web)).toBeUndefined();
    expect(inheritance.take('proxy:web', { ...web, port: 3081 })).toBeUndefined();
    expect(inheritance.take('proxy:web', web)).toBe(5);
    expect(inheritance.take('proxy:web', web)).toBeUndefined();
    expect(inheritance.closeRest()).toEqual([]);
  });

  it('takes its variables out of the environment', () => {
    const env: NodeJS.ProcessEnv = {
      PATH: '/bin',
      TELEPORT_OS_FILES: '[]',
      TELEPORT_READY_FD: 'x',
      LISTEN_PID: '1',
      LISTEN_FDS: '1',
      LISTEN_FDNAMES: 'node',
    };
    const { hasPredecessor } = adoptInheritance(env);
    expect(hasPredecessor).toBe(false);
    expect(env).toEqual({ PATH: '/bin' });
  });

  it('adopts the sockets of systemd that are meant for this process', () => {
    const env = { LISTEN_PID: '77', LISTEN_FDS: '2', LISTEN_FDNAMES: 'proxy-web:node' };
    expect(adoptInheritance({ ...env }, { pid: 78, isSocket }).take('proxy:web', web)).toBeUndefined();
    const ours = adoptInheritance({ ...env }, { pid: 77, isSocket });
    expect(ours.take('node', { host: '::', port: 3022 })).toBe(4);
    expect(ours.take('proxy:web', web)).toBe(3);
  });

  it('opens anew, and says so, when the variable is not understood', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ minLength: 1 }), fc.json()), (text) => {
        const found = adoptInheritance({ TELEPORT_OS_FILES: text });
        expect(found.take('proxy:web', web)).toBeUndefined();
        expect(text === '[]' || found.warning !== undefined || text.trim() === '[]').toBe(true);
      }),
    );
  });

  it('tells its predecessor, and goes on when that is gone', () => {
    const path = join(tmpdir(), `inheritance-${process.pid}`);
    const fd = openSync(path, 'w');
    const inheritance = adoptInheritance({ TELEPORT_READY_FD: String(fd) }, { isSocket });
    inheritance.tell({ type: 'ready', pid: 7 });
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ type: 'ready', pid: 7 });
    closeSync(fd);
    expect(() => {
      inheritance.tell({ type: 'ready', pid: 7 });
    }).not.toThrow();
    rmSync(path);
  });

  it.each(['', '-1', '0', '1', '2', '1e1', '0x5', '99999999999', ' 3', '3.5'])(
    'has nobody to tell when the variable says "%s"',
    (text) => {
      const found = adoptInheritance({ TELEPORT_READY_FD: text }, { isSocket });
      expect(found.hasPredecessor).toBe(false);
      expect(found.warning).toMatch(/^TELEPORT_READY_FD is not a descriptor/);
    },
  );

  it('writes to no file whose number somebody put there, and closes none', () => {
    const path = join(tmpdir(), `not-a-socket-${process.pid}`);
    const fd = openSync(path, 'w');
    const unopened = 9_999;
    const found = adoptInheritance({
      TELEPORT_READY_FD: String(fd),
      TELEPORT_OS_FILES: JSON.stringify([fd, unopened].map((one) => ({ name: 'x', addr: 'y', fd: one }))),
    });
    found.tell({ type: 'ready', pid: 7 });
    expect(found.closeRest()).toEqual([]);
    expect(readFileSync(path, 'utf8')).toBe('');
    closeSync(fd);
    expect(found.warning).toBe(
      ['TELEPORT_READY_FD', 'TELEPORT_OS_FILES']
        .map((name) => `${name} names a descriptor that is not a socket left to this process: ${fd}`)
        .join('; ')
        .concat(`, ${unopened}`),
    );
    rmSync(path);
  });

  it('takes the lock of its predecessor, and no other number for one', () => {
    const path = join(tmpdir(), `lock-of-predecessor-${process.pid}`);
    const fd = openSync(path, 'w');
    const env: NodeJS.ProcessEnv = { TELEPORT_LOCK_FD: String(fd) };
    expect(adoptInheritance(env)).toMatchObject({ lock: fd, warning: undefined });
    expect(env).toEqual({});
    closeSync(fd);
    rmSync(path);
    for (const text of ['', '1', '9999', 'x', '-1'])
      expect(adoptInheritance({ TELEPORT_LOCK_FD: text })).toMatchObject({
        lock: undefined,
        warning: 'TELEPORT_LOCK_FD is not the open file that a predecessor left',
      });
  });

  it('takes one descriptor for one thing only', () => {
    const one = { name: 'proxy:web', addr: '0.0.0.0:3080', fd: 5 };
    const found = adoptInheritance(
      { TELEPORT_READY_FD: '6', TELEPORT_OS_FILES: JSON.stringify([one, one, { ...one, fd: 6 }]) },
      { isSocket },
    );
    expect(found.take('proxy:web', web)).toBe(5);
    expect(found.take('proxy:web', web)).toBeUndefined();
  });

  it.each(['400000000', '-2', 'x', '1e9'])('takes nothing of systemd when it says LISTEN_FDS=%s', (count) => {
    const found = adoptInheritance({ LISTEN_PID: '7', LISTEN_FDS: count }, { pid: 7, isSocket });
    expect(found.take('', web)).toBeUndefined();
    expect(found.warning).toMatch(/^LISTEN_FDS is not a number/);
  });
});
