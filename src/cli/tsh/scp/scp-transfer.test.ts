import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Duplex, duplexPair } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ownUmask } from '../../../base/umask.ts';
import { receiveFiles } from '../../../transfer/scp-receive.ts';
import { sendFiles } from '../../../transfer/scp-send.ts';
import { ScpStream } from '../../../transfer/scp-stream.ts';
import { placeFor } from './scp-place.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'scp-'));
  mkdirSync(join(folder, 'from'));
  mkdirSync(join(folder, 'to'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const at = (...names: string[]): string => join(folder, ...names);
const streamOf = (channel: Duplex): ScpStream => new ScpStream(channel, channel);

interface Receiving {
  readonly asked: string;
  readonly target: string;
  readonly recursive: boolean;
}
const receive = async (stream: ScpStream, { asked, target, recursive }: Receiving): Promise<void> => {
  await receiveFiles(stream, { place: await placeFor(asked, target), recursive, preserve: false });
};
const silent = (): void => undefined;

/** Our sender against our receiver. */
async function copy(
  paths: string[],
  receiving: Partial<Receiving> = {},
): Promise<{ sender: ScpStream; receiver: ScpStream }> {
  const [one, two] = duplexPair();
  const [sender, receiver] = [streamOf(one), streamOf(two)];
  const into = { asked: '*', target: at('to'), recursive: true, ...receiving };
  await Promise.all([
    sendFiles(sender, paths, { recursive: into.recursive, preserve: false }).then(() => {
      sender.end();
    }),
    receive(receiver, into),
  ]);
  return { sender, receiver };
}

/** A server that sends this whatever it is told. */
async function receiveFrom(bytes: string, receiving: Partial<Receiving> = {}): Promise<ScpStream> {
  const [one, two] = duplexPair();
  const receiver = streamOf(two);
  two.on('error', silent);
  one.resume();
  one.end(bytes);
  await receive(receiver, {
    asked: 'x',
    target: at('to'),
    recursive: false,
    ...receiving,
  });
  return receiver;
}

describe('copying', () => {
  it('brings files, folders and modes over', async () => {
    mkdirSync(at('from', 'd', 'e'), { recursive: true });
    const big = Buffer.alloc(1_000_003, 'x');
    writeFileSync(at('from', 'd', 'big'), big);
    writeFileSync(at('from', 'd', 'e', 'empty'), '');
    writeFileSync(at('from', 'run me'), '#!/bin/sh\n');
    chmodSync(at('from', 'run me'), 0o777);
    chmodSync(at('from', 'd', 'e'), 0o500);
    await copy([at('from', 'd'), at('from', 'run me')]);
    expect(readFileSync(at('to', 'd', 'big')).equals(big)).toBe(true);
    expect(readdirSync(at('to', 'd', 'e'))).toEqual(['empty']);
    expect(statSync(at('to', 'run me')).mode & 0o777).toBe(0o777 & ~ownUmask());
    expect(statSync(at('to', 'd', 'e')).mode & 0o777).toBe(0o500);
    chmodSync(at('from', 'd', 'e'), 0o700);
    chmodSync(at('to', 'd', 'e'), 0o700);
  });
  it('names the one file as asked', async () => {
    writeFileSync(at('from', 'a'), 'new');
    writeFileSync(at('b'), 'an older and longer text');
    await copy([at('from', 'a')], { target: at('b'), asked: 'a' });
    expect(readFileSync(at('b'), 'utf8')).toBe('new');
  });
  it('says what it could not send and goes on with the rest', async () => {
    writeFileSync(at('from', 'a'), 'a');
    mkdirSync(at('from', 'd'));
    const { sender, receiver } = await copy([at('from', 'none'), at('from', 'd'), at('from', 'a')], {
      recursive: false,
    });
    expect(sender.complaints).toEqual([
      expect.stringContaining('No such file or directory'),
      expect.stringContaining('not a regular file (a directory: use -r)'),
    ]);
    expect(receiver.complaints).toHaveLength(2);
    expect(readFileSync(at('to', 'a'), 'utf8')).toBe('a');
  });
  it('does not follow a link into a folder it is in', async () => {
    mkdirSync(at('from', 'd'));
    symlinkSync('..', at('from', 'd', 'up'));
    writeFileSync(at('from', 'd', 'f'), 'f');
    const { sender } = await copy([at('from')]);
    expect(sender.complaints).toEqual([expect.stringContaining('a link to a folder it is in')]);
    expect(readFileSync(at('to', 'from', 'd', 'f'), 'utf8')).toBe('f');
  });
  it('says what it could not write and takes the rest', async () => {
    mkdirSync(at('from', 'd'));
    writeFileSync(at('from', 'd', 'a'), 'a');
    writeFileSync(at('from', 'd', 'b'), 'b');
    mkdirSync(at('to', 'd', 'a'), { recursive: true });
    const { receiver, sender } = await copy([at('from', 'd')]);
    expect(receiver.complaints).toEqual([expect.stringContaining('Illegal operation on a directory')]);
    expect(sender.complaints).toEqual([expect.stringContaining('Illegal operation on a directory')]);
    expect(readFileSync(at('to', 'd', 'b'), 'utf8')).toBe('b');
  });
});

describe('receiving from a server that is not to be believed', () => {
  it('writes nothing outside the target', async () => {
    await expect(receiveFrom('C0644 3 ../evil\nabc\0')).rejects.toThrow('it wants to write to "../evil"');
    expect(existsSync(at('evil'))).toBe(false);
  });
  it('takes no file that was not asked for', async () => {
    await expect(receiveFrom('C0644 3 .bashrc\nabc\0')).rejects.toThrow('which was not asked for');
    expect(readdirSync(at('to'))).toEqual([]);
  });
  it.each(['*', '?bashrc', '[.]bashrc', '~'])('takes no dot file for %s', async (asked) => {
    for (const recursive of [false, true])
      for (const sent of ['C0644 3 .bashrc\nabc\0', 'D0755 0 .bashrc\nE\n'])
        await expect(receiveFrom(sent, { asked, recursive })).rejects.toThrow('which was not asked for');
    expect(readdirSync(at('to'))).toEqual([]);
  });
  it('takes one folder for a home, under a name that is not there yet', async () => {
    const home = { asked: '~', recursive: true };
    await receiveFrom('D0755 0 joe\nC0644 1 x\na\0E\n', home);
    expect(readFileSync(at('to', 'joe', 'x'), 'utf8')).toBe('a');
    await expect(receiveFrom('D0755 0 joe\nC0644 1 y\na\0E\n', home)).rejects.toThrow(
      'which is there already',
    );
    await expect(receiveFrom('C0644 1 y\na\0', home)).rejects.toThrow('which was not asked for');
    await expect(receiveFrom('D0755 0 b\nE\nD0755 0 c\nE\n', home)).rejects.toThrow(
      '"c", which was not asked',
    );
    expect(readdirSync(at('to')).sort()).toEqual(['b', 'joe']);
  });
  it("asks for nothing whose name would be the other side's choice", async () => {
    for (const asked of ['.', 'x/..', '/'])
      await expect(receiveFrom('D0755 0 y\nE\n', { asked, recursive: true })).rejects.toThrow(
        'names no file',
      );
    expect(readdirSync(at('to'))).toEqual([]);
  });
  it('takes no folder without -r', async () => {
    await expect(receiveFrom('D0755 0 x\nE\n')).rejects.toThrow('use -r');
    expect(readdirSync(at('to'))).toEqual([]);
  });
  it('does not leave the target by ending folders it did not begin', async () => {
    await expect(receiveFrom('E\nC0644 1 x\na\0', { recursive: true })).rejects.toThrow('did not begin');
  });
  it('takes no second file under the name of one', async () => {
    await expect(receiveFrom('C0644 1 x\na\0C0644 1 x\nb\0', { target: at('one') })).rejects.toThrow(
      'several files came',
    );
    expect(readFileSync(at('one'), 'utf8')).toBe('a');
  });
  it('says so when the copy is cut short', async () => {
    await expect(receiveFrom('C0644 10 x\nabc')).rejects.toThrow('ended the copy too early');
  });
  it('ends with the words of a fatal error, and goes on after a warning', async () => {
    await expect(receiveFrom('\u0002scp: no such file\n')).rejects.toThrow('scp: no such file');
    const { complaints } = await receiveFrom('\u0001scp: skipped\nC0644 1 x\na\0');
    expect(complaints).toEqual(['scp: skipped']);
    expect(readFileSync(at('to', 'x'), 'utf8')).toBe('a');
  });
});
