import fc from 'fast-check';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Accounts, parseGroupIds, parsePasswdLine } from './passwd.ts';
import { ProgramStarter } from './program-starter.ts';

const starter = new ProgramStarter(undefined);

describe('reading a line of passwd', () => {
  it('gives name, ids, home and shell', () => {
    expect(parsePasswdLine('joe:x:1000:100:Joe,,,:/home/joe:/bin/zsh')).toEqual({
      name: 'joe',
      uid: 1000,
      gid: 100,
      home: '/home/joe',
      shell: '/bin/zsh',
    });
  });
  it('takes /bin/sh and / where nothing stands', () => {
    expect(parsePasswdLine('joe:x:1:1:::')).toMatchObject({ home: '/', shell: '/bin/sh' });
  });
  it.each([
    'joe:x:-1:1:::',
    'joe:x:4294967295:1:::',
    'joe:x:0x0:1:::',
    'joe:x::1:::',
    ':x:0:0:::',
    'joe:x:1:1::',
    '+:::::: :',
  ])('is none: %s', (line) => {
    expect(parsePasswdLine(line)).toBeUndefined();
  });
  it('never takes a uid for 0 that is not written 0', () => {
    fc.assert(
      fc.property(fc.string(), (uid) => {
        const parsed = parsePasswdLine(`joe:x:${uid}:1::/:/bin/sh`);
        expect(parsed === undefined || /^\d+$/.test(uid)).toBe(true);
      }),
    );
  });
});

describe('reading the groups of an account', () => {
  it('gives the ids', () => {
    expect(parseGroupIds('1000 27 100\n')).toEqual([1000, 27, 100]);
  });
  it.each(['', 'joe', '1000 -1', '4294967295', '1 2 x'])('is none: %s', (line) => {
    expect(parseGroupIds(line)).toBeUndefined();
  });
});

const file = vi.hoisted((): { texts: Record<string, string>; reads: number } => ({ texts: {}, reads: 0 }));
vi.mock(import('node:fs'), async (original) => ({ ...(await original()), existsSync: () => false }));
vi.mock(import('node:fs/promises'), async (original) => {
  const real = await original();
  const readFile = async (path: string): Promise<string> => {
    file.reads++;
    await new Promise((resolve) => setImmediate(resolve)); // whoever asks at the same time has asked by then
    const text = file.texts[path];
    if (text !== undefined) return text;
    throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
  };
  const stat = (): Promise<unknown> => Promise.resolve({ ino: 1n, size: 1n, mtimeNs: 1n, ctimeNs: 1n });
  return {
    ...real,
    readFile: readFile as unknown as typeof real.readFile,
    stat: stat as unknown as typeof real.stat,
  };
});

describe('what is known of a password, on a machine without getent', () => {
  beforeEach(() => {
    file.texts = { '/etc/passwd': 'joe:x:1000:1000:::\n', '/etc/shadow': 'joe:!:1::::::\n' };
    file.reads = 0;
  });
  it('is asked once for all who ask at the same time', async () => {
    const accounts = new Accounts(starter, () => 0);
    const all = await Promise.all(Array.from({ length: 100 }, () => accounts.passwordLine('joe')));
    expect(new Set(all.map((line) => line?.text))).toEqual(new Set(['joe:!:1::::::']));
    expect(file.reads).toBe(1);
  });
  it('comes from the passwd file where there is no shadow file', async () => {
    delete file.texts['/etc/shadow'];
    expect(await new Accounts(starter, () => 0).passwordLine('joe')).toEqual({
      database: 'passwd',
      text: 'joe:x:1000:1000:::',
    });
  });
});
