import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from './cluster.ts';
import { createFirstUser } from './people.ts';
import { isRoot, makeUser, type ThrowawayUser } from './throwaway-user.ts';

const openFiles = (pid: number): string =>
  /^Max open files +(\d+) +(\d+)/m
    .exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))
    ?.slice(1)
    .join(':') ?? '';

/** Not every root may raise the hard limit it was started with. */
const hard = Math.min(
  65_536,
  Number(/^Max open files +\d+ +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]),
);

// What a plain user's shell sees, and root's, for whom nothing drops privileges on the way.
describe.runIf(isRoot).each([`1024:${hard}`, `${hard}:${hard}`])(
  'under a daemon started with %s descriptors',
  (limit) => {
    let cluster: Cluster;
    let user: ThrowawayUser;
    beforeAll(async () => {
      user = makeUser('/bin/bash');
      cluster = await startCluster({ within: ['prlimit', `--nofile=${limit}`, '--'] });
      await createFirstUser(cluster, 'joe', { logins: ['root', user.name] });
    });
    afterAll(async () => {
      await cluster.close();
      user.remove();
    });

    it('the daemon may open as many as it was given', () => {
      expect(openFiles(cluster.pid())).toBe(`${hard}:${hard}`);
    });
    it('a session starts with the limit of a login, which it may raise to what the daemon was given', async () => {
      for (const login of ['root', user.name])
        for (const args of [[], ['-t']]) {
          const told = `echo got $(ulimit -Sn) $(ulimit -Hn); ulimit -Sn ${hard} && echo raised to $(ulimit -Sn)`;
          const ran = await cluster.tsh('joe', ['ssh', ...args, `${login}@node1`, told]);
          expect(ran.stdout.replaceAll('\r', '')).toBe(`got 1024 ${hard}\nraised to ${hard}\n`);
        }
    });
  },
);

describe.runIf(isRoot)('under a daemon with fewer descriptors than a login has', () => {
  it('a session has those of the daemon', async () => {
    const cluster = await startCluster({ within: ['prlimit', '--nofile=900:900', '--'] });
    try {
      await createFirstUser(cluster, 'joe', { logins: ['root'] });
      const ran = await cluster.tsh('joe', ['ssh', 'root@node1', 'echo $(ulimit -Sn) $(ulimit -Hn)']);
      expect(`${ran.stdout}${ran.stderr}`).toBe('900 900\n');
    } finally {
      await cluster.close();
    }
  });
});
