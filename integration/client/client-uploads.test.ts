/*
 * Programs that took or sent much end: process.exit of the runtime hangs then, one time in 10 to 30
 * (nodejs/node#54918).
 */
import { closeSync, openSync, truncateSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../harness/cluster.ts';
import { createFirstUser } from '../harness/people.ts';

const login = userInfo().username;
const uploads = Number(process.env['UPLOADS'] ?? 6);
const bytes = Number(process.env['UPLOAD_MIB'] ?? 64) * 1024 * 1024;
const limitMs = 60_000;

let cluster: Cluster;
let file: string;
beforeAll(async () => {
  cluster = await startCluster();
  await createFirstUser(cluster, 'joe', { logins: [login] });
  file = join(cluster.dir, 'zeros');
  closeSync(openSync(file, 'w'));
  truncateSync(file, bytes);
});
afterAll(() => cluster.close());

/** How a line of shell ends. The limit is generous: a hang has none. */
async function ends(line: string): Promise<number | string> {
  const child = spawn('/bin/sh', ['-c', line], {
    env: cluster.env('joe'),
    stdio: 'ignore',
    detached: true,
  });
  const limit = setTimeout(() => {
    process.kill(-(child.pid ?? 0), 'SIGKILL');
  }, limitMs);
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  clearTimeout(limit);
  return code ?? `hung, and was ended by ${signal ?? ''}`;
}

it.each([
  ['tsh ssh', () => `cat ${file} | tsh ssh ${login}@node1 'cat >/dev/null; exit 3'`, 3],
  ['tsh scp', () => `tsh scp -q ${file} ${login}@node1:${cluster.dir}/copy`, 0],
  // sftp waits for the end of its server.
  [
    'teleport sftp-server',
    () => `echo put ${file} ${cluster.dir}/copy | sftp -q -b - -D 'teleport sftp-server'`,
    0,
  ],
] as const)(
  `%s ends after each of ${uploads} uploads`,
  { timeout: uploads * limitMs },
  async (_, line, code) => {
    const ended: (number | string)[] = [];
    for (let i = 0; i < uploads; i++) ended.push(await ends(line()));
    expect(ended).toEqual(Array.from({ length: uploads }, () => code));
  },
);
