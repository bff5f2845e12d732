import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { str, u32, u64 } from '../../src/pki/wire.ts';
import { openFlag, packet, PacketCutter, request } from '../../src/transfer/sftp-wire.ts';
import { type NodeBench, startNode } from './node-bench.ts';
import { toldOf } from './told-of.ts';
import { isRoot, makeUser, type ThrowawayUser } from '../harness/throwaway-user.ts';

/** Where Debian has it. */
const sftpServer = '/usr/lib/openssh/sftp-server';

/** Path, kind, mode, modification time and contents of everything under `root`. */
const treeOf = (root: string, at = ''): string[] =>
  readdirSync(join(root, at))
    .sort()
    .flatMap((name) => {
      const path = join(at, name);
      const info = statSync(join(root, path));
      const line = `${path} ${(info.mode & 0o7777).toString(8)} ${Math.floor(info.mtimeMs / 1000)}`;
      return info.isDirectory()
        ? [line, ...treeOf(root, path)]
        : [
            `${line} ${createHash('sha256')
              .update(readFileSync(join(root, path)))
              .digest('hex')}`,
          ];
    });

describe.runIf(isRoot).each([
  ["OpenSSH's programs", false],
  ['our own programs', true],
])('moving files with %s', (_name, ownFilePrograms) => {
  let user: ThrowawayUser;
  let node: NodeBench;
  let config: string;
  let host: string;
  let local: string;
  const tree = (): string => join(local, 'tree');

  beforeAll(async () => {
    user = makeUser();
    node = await startNode({ logins: [user.name], ownFilePrograms });
    config = node.person('alice');
    host = `${user.name}@node1`;
    local = join(node.directory, 'work');
    mkdirSync(join(tree(), 'deep', 'empty'), { recursive: true });
    writeFileSync(join(tree(), 'large'), randomBytes(3_000_001), { mode: 0o640 });
    writeFileSync(join(tree(), 'deep', 'with space'), 'small', { mode: 0o755 });
    writeFileSync(join(tree(), 'deep', 'nothing'), '', { mode: 0o400 });
    chmodSync(join(tree(), 'deep'), 0o750);
    utimesSync(join(tree(), 'large'), 1_500_000_000, 1_500_000_001);
  });
  afterAll(async () => {
    await node.stop();
    user.remove();
  });
  const ok = async (command: string): Promise<string> => {
    const ran = await node.sh(config, command);
    expect(ran).toMatchObject({ code: 0 });
    return ran.stdout;
  };

  it.each([
    ['scp', '$SCP -q'],
    ['scp with the old protocol', '$SCP -q -O'],
  ])('%s copies a tree there and back: contents, modes, times, owner', async (name, scp) => {
    const there = `there-${name.length}`;
    await ok(`${scp} -r -p tree ${host}:${there} && ${scp} -r -p ${host}:${there} back-${name.length}`);
    expect(treeOf(join(local, `back-${name.length}`))).toEqual(treeOf(tree()));
    expect(statSync(join(user.home, there, 'large')).uid).toBe(user.uid);
  });
  it.each([
    ['scp', '$SCP -q'],
    ['scp with the old protocol', '$SCP -q -O'],
  ])('%s copies into a folder, expands patterns, and says what is missing', async (name, scp) => {
    const folder = `into${name.length}`;
    await ok(`$SSH ${host} mkdir ${folder} && echo a > a.txt && echo b > b.txt`);
    await ok(
      `${scp} a.txt b.txt ${host}:${folder}/ && mkdir ${folder} && ${scp} '${host}:${folder}/*.txt' ${folder}/`,
    );
    expect(readdirSync(join(local, folder))).toEqual(['a.txt', 'b.txt']);
    const missing = await node.sh(config, `${scp} ${host}:no-such-file .`);
    expect(missing.code).not.toBe(0);
    expect(missing.stderr).toMatch(/no-such-file/);
    const refused = await node.sh(config, `${scp} a.txt ${host}:/root-only-${name.length}`);
    expect(refused.code).not.toBe(0);
    const folders = await node.sh(config, `${scp} ${host}:${folder} .`);
    expect(folders.code).not.toBe(0);
  });
  it('puts each copy of the old protocol in the audit', async () => {
    await ok(`$SCP -q -O a.txt ${host}:audited && $SCP -q -O ${host}:audited audited`);
    expect(await toldOf(node, 'scp', { code: 'T3005I', path: 'audited' })).toMatchObject({
      action: 'upload',
      exitCode: '0',
    });
    expect(await toldOf(node, 'scp', { code: 'T3004I', path: 'audited' })).toMatchObject({
      action: 'download',
    });
    expect(await toldOf(node, 'scp', { code: 'T3004E', path: 'no-such-file' })).toMatchObject({
      exitCode: '1',
    });
  });
  it('sftp does what its users do, and the audit has each file', async () => {
    writeFileSync(
      join(local, 'batch'),
      [
        'mkdir box',
        'cd box',
        'put a.txt',
        'rename a.txt c.txt',
        'chmod 600 c.txt',
        'ln -s c.txt link',
        'ls -l',
        'get c.txt fetched',
        'mkdir sub',
        '-get missing',
        'rm link',
        'rmdir sub',
        'pwd',
        'df',
      ]
        .filter((line) => !ownFilePrograms || line !== 'df')
        .join('\n'),
    );
    const said = await ok(`$SFTP -q -b batch ${host}`);
    expect(readFileSync(join(local, 'fetched'), 'utf8')).toBe('a\n');
    expect(said).toMatch(/^-rw-------.* c\.txt$/m);
    expect(said).toContain(`Remote working directory: ${user.home}/box`);
    expect(readdirSync(join(user.home, 'box'))).toEqual(['c.txt']);
    const path = `${user.home}/box`;
    expect(await toldOf(node, 'scp', { path: `${path}/a.txt` })).toMatchObject({
      code: 'T3005I',
      command: 'sftp',
      bytes: 2,
    });
    expect(await toldOf(node, 'scp', { path: `${path}/c.txt` })).toMatchObject({ code: 'T3004I', bytes: 2 });
    expect(await toldOf(node, 'subsystem', { name: 'sftp' })).toMatchObject({ code: 'T3001I' });
  });
  it.runIf(!ownFilePrograms && existsSync(sftpServer))(
    'sees the files of an sftp server that is asked for by its path',
    async () => {
      await ok(`echo a > a.txt; echo 'put a.txt by-path' | $SFTP -q -s ${sftpServer} -b - ${host}`);
      expect(await toldOf(node, 'scp', { path: `${user.home}/by-path` })).toMatchObject({ code: 'T3005I' });
    },
  );
  it('sftp resumes and refuses as the user may', async () => {
    await ok(`printf '\\n' > half && $SFTP -q -b - ${host} <<'END'
put a.txt grown
-put a.txt /etc/tt-not-allowed
END`);
    writeFileSync(join(local, 'longer'), 'a\nmore\n');
    await ok(`echo 'reput longer grown' | $SFTP -q -b - ${host}`);
    expect(readFileSync(join(user.home, 'grown'), 'utf8')).toBe('a\nmore\n');
    expect(await toldOf(node, 'scp', { path: '/etc/tt-not-allowed' })).toMatchObject({ code: 'T3005E' });
  });
  /** Packets of a client that keeps to no rule, and all that comes back until the server has ended. */
  const converse = async (...packets: readonly Buffer[]): Promise<{ exit: unknown; got: string }> => {
    const client = await node.connect('alice', user.name);
    const session = await client.subsystem('sftp');
    const got: Buffer[] = [];
    let answers = 0;
    const cutter = new PacketCutter(0, () => {
      if (++answers > packets.length) session.channel.end(); // OpenSSH's server drops answers at the end of its input
    });
    session.channel.on('data', (chunk: Buffer) => {
      got.push(chunk);
      cutter.push(chunk);
    });
    session.channel.write(Buffer.concat([packet(request.init, u32(3)), ...packets]));
    const exit = await session.exit;
    client.close();
    return { exit, got: Buffer.concat(got).toString('latin1') };
  };
  const opening = (id: number, path: string): Buffer =>
    packet(request.open, u32(id), str(path), u32(openFlag.read), u32(0));
  const first = str(ownFilePrograms ? '0' : u32(0)); // the handle that the server gives first
  const reading = packet(request.read, u32(8), first, u64(0n), u32(100));

  it('sees a file that is opened beside another request of the same id', async () => {
    await ok(`$SSH ${host} 'echo secret > hidden'`);
    // Who takes the answer to the close of nothing for that to the open sees no file.
    const nothing = packet(request.close, u32(7), str('zzzz'));
    const { got } = await converse(
      opening(7, 'hidden'),
      nothing,
      reading,
      packet(request.close, u32(9), first),
    );
    expect(got).toContain('secret');
    expect(await toldOf(node, 'scp', { path: 'hidden' })).toMatchObject({ code: 'T3004I', bytes: 7 });
  });
  it('ends sftp whose transfers cannot be followed, before anything is moved', async () => {
    await ok(`$SSH ${host} 'echo secret > hidden2'`);
    const { exit, got } = await converse(opening(7, 'hidden2'), packet(21, u32(7)), reading);
    expect(exit).toMatchObject({ status: 'exited', code: 255 });
    expect(got).not.toContain('secret');
    expect(await toldOf(node, 'scp', { path: 'hidden2' })).toMatchObject({ exitError: 'broken off' });
    expect(
      await toldOf(node, 'subsystem', {
        exitError: 'ended: transfers cannot be followed for the audit (a request of unknown kind 21)',
      }),
    ).toMatchObject({ code: 'T3001E', name: 'sftp' });
  });
  it('rsync goes over a plain command', async () => {
    await ok(
      `rsync -a -e 'ssh -F ${config}' tree/ ${host}:mirror/ && rsync -a -e 'ssh -F ${config}' ${host}:mirror/ again/`,
    );
    expect(treeOf(join(local, 'again'))).toEqual(treeOf(tree()));
  });
  it('does not go through what the user may not read', async () => {
    const secret = join(node.directory, 'secret');
    writeFileSync(secret, 'secret', { mode: 0o600 });
    chownSync(secret, 0, 0);
    symlinkSync(secret, join(user.home, 'to-secret'));
    for (const scp of ['$SCP -q', '$SCP -q -O']) {
      const ran = await node.sh(config, `${scp} ${host}:to-secret stolen; cat stolen`);
      expect(ran.stdout).toBe('');
    }
  });
});
