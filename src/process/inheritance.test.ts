import fc from 'fast-check';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { adoptInheritance } from './inheritance.ts';

const web = { host: '0.0.0.0', port: 3080 };

describe('adopting what a predecessor left', () => {
  it('gives a listener to who wants that name and address, once', () => {
    const env = {
      TELEPORT_OS_FILES: JSON.stringify([{ name: 'proxy:web', addr: '0.0.0.0:3080', fd: 5 }]),
    };
    const inheritance = adoptInheritance(env);
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
    expect(adoptInheritance({ ...env }, 78).take('proxy:web', web)).toBeUndefined();
    const ours = adoptInheritance({ ...env }, 77);
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
    const inheritance = adoptInheritance({ TELEPORT_READY_FD: String(fd) });
    inheritance.tell({ type: 'ready', pid: 7 });
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ type: 'ready', pid: 7 });
    closeSync(fd);
    expect(() => {
      inheritance.tell({ type: 'ready', pid: 7 });
    }).not.toThrow();
    rmSync(path);
  });
});
