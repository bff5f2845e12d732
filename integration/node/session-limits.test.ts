import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../harness/cluster.ts';
import { createFirstUser } from '../harness/people.ts';
import { isRoot, makeUser, type ThrowawayUser } from '../harness/throwaway-user.ts';

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
      const told = `echo got $(ulimit -Sn) $(ulimit -Hn); ulimit -Sn ${hard} && echo raised to $(ulimit -Sn)`;
      const kinds = ['root', user.name].flatMap((login) => [[`${login}@node1`], ['-t', `${login}@node1`]]);
      const ran = await Promise.all(kinds.map((kind) => cluster.tsh('joe', ['ssh', ...kind, told])));
      for (const { stdout } of ran)
        expect(stdout.replaceAll('\r', '')).toBe(`got 1024 ${hard}\nraised to ${hard}\n`);
    });
  },
);
