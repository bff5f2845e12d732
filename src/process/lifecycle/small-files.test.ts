import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fakeWorld, recordingSink } from '../../api/testing.ts';
import { hostUuid, readOptional } from '../identity/host-uuid.ts';
import { readStorage } from '../configuration/storage-file.ts';
import { checkTargetPlace } from '../store/target-place.ts';
import { removePidFile, writePidFile } from './pid-file.ts';
import { loadRestart, type RestartRecord, saveRestart } from './restart-record.ts';
import { Turnstile } from './turnstile.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'files-test-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

describe('the pid file', () => {
  it('has our number, and goes with us', () => {
    const path = join(dir, 'pid');
    writePidFile(path);
    expect([readFileSync(path, 'utf8'), statSync(path).mode & 0o777]).toEqual([String(process.pid), 0o644]);
    removePidFile(path);
    expect(existsSync(path)).toBe(false);
    removePidFile(path);
  });
  it('of a successor stays', () => {
    const path = join(dir, 'pid');
    writeFileSync(path, String(process.pid + 1));
    removePidFile(path);
    expect(existsSync(path)).toBe(true);
  });
  it('is none where none is asked for, and an error where it cannot be written', () => {
    writePidFile(undefined);
    removePidFile(undefined);
    const path = join(dir, 'no', 'pid');
    writeFileSync(join(dir, 'no'), '');
    expect(() => {
      writePidFile(path);
    }).toThrow(
      expect.objectContaining({
        code: 'misconfigured',
        message: expect.stringMatching(/^cannot write the pid file /) as string,
      }) as Error,
    );
  });
});

describe('how the last reload went', () => {
  const failed: RestartRecord = {
    ...{ status: 'failed', at: '2026-01-01T00:00:00.000Z', reason: 'no', exitCode: '1', lastLines: ['a'] },
  };
  it('is read back as it was written, by nobody else', () => {
    const sink = recordingSink();
    mkdirSync(join(dir, 'proc'));
    for (const record of [failed, { status: 'succeeded', at: failed.at } as const]) {
      saveRestart(dir, record, sink);
      expect(loadRestart(dir)).toEqual(record);
    }
    expect(statSync(join(dir, 'proc', 'restart.json')).mode & 0o777).toBe(0o600);
    expect(sink.lines).toEqual([]);
  });
  it('is not known where nothing was written, or something else', () => {
    expect(loadRestart(dir)).toBeUndefined();
    mkdirSync(join(dir, 'proc'));
    for (const text of ['{', '{}', '{"status":"failed"}']) {
      writeFileSync(join(dir, 'proc', 'restart.json'), text);
      expect(loadRestart(dir)).toBeUndefined();
    }
  });
  it('is only warned of when it cannot be written down', () => {
    const sink = recordingSink();
    writeFileSync(join(dir, 'proc'), '');
    saveRestart(dir, failed, sink);
    expect(sink.lines).toEqual([
      expect.stringMatching(/^warn how the reload went could not be written down /),
    ]);
  });
});

describe('the name of this machine', () => {
  it('is made once, and kept', () => {
    const world = fakeWorld();
    const made = hostUuid(dir, world);
    expect(hostUuid(dir, world)).toBe(made);
    expect([
      readFileSync(join(dir, 'host_uuid'), 'utf8'),
      statSync(join(dir, 'host_uuid')).mode & 0o777,
    ]).toEqual([made, 0o400]);
  });
  it('is refused where it is none', () => {
    writeFileSync(join(dir, 'host_uuid'), 'x');
    expect(() => hostUuid(dir, fakeWorld())).toThrow(/does not hold a UUID/);
  });
  it('may be there, or not; a folder is neither', () => {
    expect(readOptional(join(dir, 'none'))).toBeUndefined();
    expect(() => readOptional(dir)).toThrow(/EISDIR/);
  });
});

describe('the place to which a log goes', () => {
  const check = (path: string) => () => {
    checkTargetPlace({ type: 'dir', path } as never);
  };
  it('is an empty directory, or holds a log', () => {
    check(dir)();
    for (const name of ['log.db', 'log.db-wal', 'log.db-shm', 'log.db-journal', 'hint'])
      writeFileSync(join(dir, name), '');
    check(dir)();
  });
  it('is refused when it holds anything else, of which three are named', () => {
    for (const name of ['a', 'b', 'log.dbx']) writeFileSync(join(dir, name), '');
    const refused = (message: string) =>
      expect.objectContaining({ code: 'already_exists', message }) as Error;
    expect(check(dir)).toThrow(refused(`${dir} is not empty (a, b, log.dbx): name an empty directory`));
    writeFileSync(join(dir, 'z'), '');
    expect(check(dir)).toThrow(refused(`${dir} is not empty (a, b, log.dbx, …): name an empty directory`));
  });
  it('is not made, and is no file', () => {
    expect(check(join(dir, 'none'))).toThrow(expect.objectContaining({ code: 'not_found' }) as Error);
    expect(existsSync(join(dir, 'none'))).toBe(false);
    writeFileSync(join(dir, 'file'), '');
    expect(check(join(dir, 'file'))).toThrow(/is not a directory$/);
  });
  it('is not looked at where it is of another kind', () => {
    checkTargetPlace({ type: 'etcd' } as never);
  });
});

describe('a store that a command line names', () => {
  const file = (text: string): string => {
    const path = join(dir, 'storage.yaml');
    writeFileSync(path, text);
    return path;
  };
  it('is a directory', () => {
    expect(readStorage('dir:/var/x')).toEqual({
      location: expect.objectContaining({ type: 'dir', path: '/var/x' }) as object,
      keys: { status: 'data-dir' },
    });
  });
  it.each([
    ['storage:\n  type: dir\n  path: /a\n', '/a'],
    ['teleport:\n  data_dir: /b\n  storage:\n    type: dir\n', '/b/backend'],
    ['teleport:\n  data_dir: /b\n  storage:\n    type: dir\n    path: /c\n', '/c'],
    ['storage:\n  type: dir\n  path: /a\nteleport:\n  storage:\n    type: dir\n    path: /c\n', '/a'],
  ])('is in %j', (text, path) => {
    expect(readStorage(file(text)).location).toMatchObject({ type: 'dir', path });
  });
  it('is refused where its path is missing, the section, or the file', () => {
    expect(() => readStorage(file('storage:\n  type: dir\n'))).toThrow(/storage: path is missing$/);
    expect(() => readStorage(file('x: 1\n'))).toThrow(/there is no storage: section/);
    expect(() => readStorage(join(dir, 'none'))).toThrow(
      expect.objectContaining({
        code: 'misconfigured',
        message: expect.stringMatching(/name a store as dir:\/path, or by a file .*ENOENT/) as string,
      }) as Error,
    );
  });
});

describe('a turnstile', () => {
  const settled = async (promise: Promise<void>): Promise<boolean> => {
    const first = await Promise.race([
      promise.then(() => true),
      new Promise((resolve) => setImmediate(resolve)),
    ]);
    return first === true;
  };
  it('lets everybody pass unless it is closed, and then when it is opened', async () => {
    const turnstile = new Turnstile();
    const { signal } = new AbortController();
    await turnstile.pass(signal);
    const open = turnstile.close();
    const passing = turnstile.pass(signal);
    expect(await settled(passing)).toBe(false);
    open();
    await passing;
  });
  it('keeps nobody who gives up', async () => {
    const turnstile = new Turnstile();
    turnstile.close();
    await turnstile.pass(AbortSignal.abort());
    const leaving = new AbortController();
    const passing = turnstile.pass(leaving.signal);
    leaving.abort();
    await passing;
  });
});
