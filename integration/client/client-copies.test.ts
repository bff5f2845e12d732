/* tsh scp when the other side ends in the middle, and what modes it leaves: beside stock scp. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../harness/cluster.ts';
import { type Ran, run } from '../harness/run-program.ts';
import { createFirstUser, sshConfigFor } from '../harness/people.ts';

const login = userInfo().username;
const host = `${login}@node1`;

let cluster: Cluster;
let config: string;
const sh = (command: string): Promise<Ran> =>
  run('/bin/bash', ['-c', command], { env: cluster.env('joe'), cwd: cluster.dir });

beforeAll(async () => {
  cluster = await startCluster();
  await createFirstUser(cluster, 'joe', { logins: [login] });
  config = await sshConfigFor(cluster, 'joe');
});
afterAll(() => cluster.close());

describe('tsh scp of many files, when the scp of the node is killed between two', () => {
  const count = 1_500;
  const names = Array.from({ length: count }, (_, i) => `f${i}`);
  beforeAll(() => {
    mkdirSync(join(cluster.dir, 'many'));
    for (const name of names) writeFileSync(join(cluster.dir, 'many', name), name);
  });

  /**
   * Starts the copy, kills the node's scp when 50 files are there; answers how tsh ended and what is there.
   */
  async function killed(flag: '-t' | '-f', into: string, words: readonly string[]) {
    const target = join(cluster.dir, into);
    mkdirSync(target);
    const copying = cluster.tsh('joe', ['scp', '-q', ...words]);
    while (readdirSync(target).length < 50) await turn(); // or the time of the test is over
    const remote = await run('pgrep', ['-f', `^/usr/bin/scp ${flag} .*${cluster.dir}/`]);
    for (const pid of remote.stdout.split('\n').filter((line) => line !== ''))
      process.kill(Number(pid), 'SIGKILL');
    const ran = await copying;
    return { ran, there: readdirSync(target) };
  }

  it('fails a download, and names what it came to', async () => {
    const source = `${host}:${cluster.dir}/many/f*`;
    const { ran, there } = await killed('-f', 'down', [
      source,
      `${host}:/etc/hostname`,
      `${cluster.dir}/down`,
    ]);
    expect(there.length).toBeLessThan(count);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(/^error: .*the remote scp was ended by signal KILL\n/s);
    const [first, second, ...more] = ran.stderr.split('\n').filter((line) => line.startsWith('not copied: '));
    expect(first).toMatch(/, (from|what comes after) \S+\/down\/f\d+ .*\(\d+ came whole\)$/);
    expect(first?.startsWith(`not copied: ${source}, `)).toBe(true);
    expect([second, more]).toEqual([`not copied: ${host}:/etc/hostname`, []]);
  });

  it('fails an upload, and names every file that is missing', async () => {
    const files = names.map((name) => join(cluster.dir, 'many', name));
    const { ran, there } = await killed('-t', 'up', [...files, `${host}:${cluster.dir}/up`]);
    expect(there.length).toBeLessThan(count);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('the remote scp was ended by signal KILL');
    const named = new Set(
      [...ran.stderr.matchAll(/^not copied: \S*\/many\/(\S+)$/gm)].map((match) => match[1]),
    );
    const missing = names.filter((name) => !there.includes(name));
    expect(missing.filter((name) => !named.has(name))).toEqual([]);
    // One may be there that was not acknowledged.
    expect(named.size).toBeLessThanOrEqual(missing.length + 1);
  });
});

describe('modes of what tsh scp brings', () => {
  const list = (folder: string): string => `(cd ${folder} && find . -printf '%P %m\\n' | sort)`;
  it.each(['022', '077', '000'])('are those that stock scp leaves, with umask %s', async (umask) => {
    const made = await sh(`
      rm -rf modes; mkdir -p modes/src/d777 modes/src/d555 modes/old; cd modes
      for m in 444 4755 666 600 777 400; do echo $m > src/f$m; chmod $m src/f$m; done
      chmod 777 src/d777; echo x > src/d555/x; chmod 555 src/d555
      mkdir old/src old/src/d777; chmod 700 old/src/d777
      for m in 444 666 777; do echo longer than before > old/src/f$m; chmod 640 old/src/f$m; done
      cp -a old ours; cp -a old theirs; mkdir new-ours new-theirs; umask ${umask}
      for to in '' new-; do
        tsh scp -q -r ${host}:$PWD/src "$to"ours && scp -O -q -r -F ${config} ${host}.example:$PWD/src "$to"theirs || exit 1
      done`);
    expect(made).toMatchObject({ code: 0, stderr: '' });
    for (const [ours, theirs] of [
      ['modes/ours', 'modes/theirs'],
      ['modes/new-ours', 'modes/new-theirs'],
    ] as const) {
      expect((await sh(list(ours))).stdout).toBe((await sh(list(theirs))).stdout);
      expect((await sh(`diff -r ${ours} ${theirs}`)).stdout).toBe('');
    }
  });
});

describe("the far side of a copy, teleport's own beside OpenSSH's", () => {
  it.each([[''], ['-p ']])('leaves the same modes and ends as well, with scp %s', async (preserve) => {
    // `scp -S` runs this in place of ssh: the last argument is the command.
    const program = (name: string, command: string): string =>
      `printf '%s\\n' '#!/bin/sh' 'for c; do :; done' 'exec sh -c "${command}"' > ${name}; chmod +x ${name}`;
    const ran = await sh(`
      rm -rf far; mkdir -p far/src/d555 far/ours far/theirs; cd far
      ${program('own', 'teleport scp -- ${c#scp }')}
      ${program('stock', '$c')}
      echo x > src/d555/x; chmod 555 src/d555; for m in 444 4755 666; do echo $m > src/f$m; chmod $m src/f$m; done
      umask 027
      scp -O -q ${preserve}-r -S ./own src far:$PWD/ours; a=$?
      scp -O -q ${preserve}-r -S ./stock src far:$PWD/theirs; echo $a $?`);
    expect(ran).toMatchObject({ stdout: '0 0\n', stderr: '' });
    expect((await sh(list('far/ours'))).stdout).toBe((await sh(list('far/theirs'))).stdout);
  });
  const list = (folder: string): string => `(cd ${folder} && find . -mindepth 1 -printf '%P %m\\n' | sort)`;
});
