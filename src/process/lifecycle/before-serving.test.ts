import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, type MockInstance, vi } from 'vitest';
import { fakeWorld, recordingSink } from '../../api/testing.ts';
import { type Configuration, readConfiguration } from '../configuration/configuration.ts';
import { saveIdentity } from '../identity/identity-store.ts';
import { testAuthority } from '../testing.ts';
import { settleBeforeServing } from './before-serving.ts';
import type { DataDirLock } from './data-dir-lock.ts';
import { adoptInheritance } from './inheritance.ts';

let dir = '';
let dataDir = '';
let locks: DataDirLock[];
let said: MockInstance;
const nobodyBefore = adoptInheritance({});
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'before-serving-'));
  dataDir = join(dir, 'data');
  locks = [];
  said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
});
afterEach(() => {
  for (const lock of locks) lock.release();
  vi.restoreAllMocks();
  rmSync(dir, { recursive: true });
});

const configured = (changes: Partial<Configuration> = {}): Configuration => ({
  ...readConfiguration(
    { configString: Buffer.from(`teleport: {data_dir: ${dataDir}}`).toString('base64') },
    {},
  ),
  ...changes,
});
function settle(changes: Partial<Configuration> = {}) {
  const sink = recordingSink();
  const lock = settleBeforeServing(configured(changes), nobodyBefore, sink);
  locks.push(lock);
  return { sink, lock };
}
const joins = { status: 'joins', why: 'auth_servers names another' } as const;

describe('before a daemon touches what may be another’s', () => {
  it('it makes its data directory for its owner alone, and holds it', () => {
    const { sink, lock } = settle();
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
    expect(sink.lines).toEqual([]);
    expect(() => settle()).toThrow(/data_dir|another/);
    lock.release();
    settle();
  });

  it('it warns of a role that is inferred, and of secrets that everybody may read, and goes on', () => {
    const token = join(dir, 'token');
    writeFileSync(token, 't', { mode: 0o644 });
    const { sink } = settle({
      authRole: joins,
      join: { authServers: [], token, pins: [], kind: 'either', given: [] },
    });
    expect(sink.lines).toEqual([
      expect.stringContaining('warn not starting the local auth service: auth_servers names another;'),
      expect.stringContaining(`warn ${token} is open to every user of this machine`),
    ]);
  });

  it('it writes those to standard error too where its log does not show them', () => {
    settle({ authRole: joins, log: { output: join(dir, 'log'), severity: 'info', format: 'text' } });
    expect(said).toHaveBeenCalledWith(
      expect.stringMatching(/^WARN: not starting the local auth service: .*\n$/),
    );
    expect(said).toHaveBeenCalledTimes(1);
  });

  it('it refuses to be no auth server any more, and has changed nothing', () => {
    mkdirSync(dataDir, { mode: 0o755 });
    saveIdentity(dataDir, testAuthority('c', fakeWorld().now()).issue({ hostId: 'h', role: 'Admin' }));
    const before = readdirSync(dataDir);
    expect(() => settle({ authRole: joins })).toThrow(/is an auth server of its cluster/);
    expect([readdirSync(dataDir), statSync(dataDir).mode & 0o777]).toEqual([before, 0o755]);
  });

  it('it refuses a pid file that it could not write, before it takes the lock, and leaves no folder', () => {
    const pidFile = join(dir, 'none', 'pid');
    expect(() => settle({ pidFile })).toThrow(/the pid file/);
    expect(existsSync(dataDir)).toBe(false);
    settle({ pidFile: join(dir, 'pid') });
  });

  it('it leaves a folder that was there when it cannot go on', () => {
    const pidFile = join(dir, 'none', 'pid');
    mkdirSync(dataDir, { mode: 0o700 });
    expect(() => settle({ pidFile })).toThrow(/the pid file/);
    expect(existsSync(dataDir)).toBe(true);
  });

  it('it leaves what another daemon keeps there already that was started at the same moment', () => {
    // Between our look and our fault the other one has come: it writes into the folder that we made.
    const inheritance = {
      ...nobodyBefore,
      get lock(): number | undefined {
        writeFileSync(join(dataDir, 'of another'), '');
        throw new Error('in use');
      },
    };
    expect(() => settleBeforeServing(configured(), inheritance, recordingSink())).toThrow('in use');
    expect(readdirSync(dataDir)).toEqual(['of another']);
  });

  it.each([
    [
      'is gone',
      'in use',
      (): void => {
        rmSync(dataDir, { recursive: true });
      },
    ],
    [
      'is no folder',
      'ENOTDIR',
      () => {
        rmSync(dataDir, { recursive: true });
        writeFileSync(dataDir, '');
      },
    ],
  ])('a folder that %s by then: %s', (_, told, change) => {
    const inheritance = {
      ...nobodyBefore,
      get lock(): number | undefined {
        change();
        throw new Error('in use');
      },
    };
    expect(() => settleBeforeServing(configured(), inheritance, recordingSink())).toThrow(told);
  });
});
