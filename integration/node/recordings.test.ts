import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuthClient } from '../../src/api/client.ts';
import { openRecording, readRecording } from '../../src/api/operations/recording.ts';
import { searchAudit } from '../../src/api/operations/audit.ts';
import { isCoded } from '../../src/base/errors.ts';
import { loadIdentity } from '../../src/process/identity/identity-store.ts';
import { chunksIn } from '../../src/recording/chunks-in.ts';
import type { Frame } from '../../src/recording/frame.ts';
import { framesOf, outputOf } from '../../src/recording/testing.ts';
import { clientOf } from '../harness/auth-bench.ts';
import { type Cluster, startCluster } from '../harness/cluster.ts';
import { createFirstUser, sshConfigFor } from '../harness/people.ts';
import { type Ran, run, until } from '../harness/run-program.ts';

const login = userInfo().username;
const host = `${login}@node1.example`;
let cluster: Cluster;
let auth: AuthClient;
let config: string;

const sh = (command: string): Promise<Ran> =>
  run('/bin/sh', ['-c', command], { env: cluster.env('joe'), cwd: cluster.dir });
const inTerminal = (command: string): Promise<Ran> =>
  sh(`ssh -tt -F ${config} ${host} ${JSON.stringify(command)} < /dev/null`);

async function eventsOf(...types: string[]) {
  const { events } = await auth.call(searchAudit, {
    ...{ from: '2020-01-01T00:00:00.000Z', to: '2100-01-01T00:00:00.000Z', types },
  });
  return events;
}

/** Waits for the end of the session that ran this command. */
const endOf = (marker: string) =>
  until(`the end of ${marker}`, async () => {
    const start = (await eventsOf('session.start')).find((one) => String(one['command']).includes(marker));
    return (await eventsOf('session.end')).find(({ sid }) => sid !== undefined && sid === start?.sid);
  });

async function framesIn(sid: string): Promise<Frame[]> {
  const { key, next } = await auth.call(openRecording, { sid });
  const frames: Frame[] = [];
  for (let first = 0; first < next;) {
    const { chunks } = await auth.call(readRecording, { sid, first });
    const read = chunksIn(sid, Buffer.from(chunks, 'base64'));
    frames.push(...framesOf(read, Buffer.from(key, 'base64')));
    first = (read.at(-1)?.head.number ?? next) + 1;
  }
  return frames;
}

beforeAll(async () => {
  cluster = await startCluster();
  await createFirstUser(cluster, 'joe', { logins: [login] });
  config = await sshConfigFor(cluster, 'joe');
  const identity = loadIdentity(cluster.dataDir, 'Admin');
  if (identity === undefined) throw new Error('no identity of an administrator');
  auth = clientOf([{ host: '127.0.0.1', port: cluster.ports.auth }], identity);
});
afterAll(async () => {
  auth.close();
  await cluster.close();
});

describe('a session with a terminal', () => {
  it('is recorded byte for byte, and its end says to which head the chain leads', async () => {
    const ran = await inTerminal('printf "one\\ntwo\\033[1mbold\\033[0m\\n"; : marker-one');
    expect(ran.code).toBe(0);
    const end = await endOf('marker-one');
    expect(end).toMatchObject({
      ...{ session_recording: 'node', recording_lost_bytes: 0, participants: ['joe'] },
      recording_bytes: ran.stdout.length,
      recording_head: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
    const sid = end.sid ?? '';
    await until('all of it to be stored', async () =>
      (await eventsOf('session.upload')).find((one) => one.sid === sid),
    );
    const { isOver, head, next } = await auth.call(openRecording, { sid });
    expect([isOver, head, next]).toEqual([true, end['recording_head'], end['recording_chunks']]);
    const frames = await framesIn(sid);
    expect(outputOf(frames)).toBe(ran.stdout);
    expect(frames[0]).toMatchObject({ type: 'start', about: { user: 'joe', login, sid } });
    expect(frames.at(-1)).toMatchObject({ type: 'end', exit: 'exit 0' });
    expect(readdirSync(join(cluster.dataDir, 'log/recordings'))).toEqual([]);
  });

  it('of much output is recorded whole', async () => {
    const ran = await inTerminal('seq 1 200000; : marker-much');
    const end = await endOf('marker-much');
    const sid = end.sid ?? '';
    await until('all of it to be stored', async () =>
      (await eventsOf('session.upload')).find((one) => one.sid === sid),
    );
    expect(outputOf(await framesIn(sid))).toBe(ran.stdout);
    expect(end).toMatchObject({ recording_bytes: ran.stdout.length, recording_lost_bytes: 0 });
  });

  it('can be played while it runs', async () => {
    const child = spawn('ssh', ['-tt', '-F', config, host, 'echo begun; : marker-live; cat'], {
      ...{ env: cluster.env('joe'), cwd: cluster.dir },
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const start = await until('its start', async () =>
      (await eventsOf('session.start')).find((one) => String(one['command']).includes('marker-live')),
    );
    const sid = start.sid ?? '';
    const shown = (): Promise<string> =>
      framesIn(sid).then(outputOf, (e: unknown) => {
        if (isCoded(e, 'not_found')) return '';
        throw e;
      });
    await until('what it showed', async () => ((await shown()).includes('begun') ? true : undefined));
    child.stdin.write('typed\n');
    await until('what was typed', async () => ((await shown()).includes('typed') ? true : undefined));
    child.stdin.end('\u0004');
    child.kill();
    await endOf('marker-live');
  });

  it('without a terminal is told by its events alone', async () => {
    await sh(`ssh -F ${config} ${host} 'echo quiet; : marker-quiet'`);
    const end = await endOf('marker-quiet');
    expect(end['recording_head']).toBeUndefined();
    await expect(auth.call(openRecording, { sid: end.sid ?? '' })).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('lies on the disk of auth sealed, for its owner alone', async () => {
    await inTerminal('echo very-secret-text; : marker-sealed');
    const { sid = '' } = await endOf('marker-sealed');
    await until('all of it to be stored', async () =>
      (await eventsOf('session.upload')).find((one) => one.sid === sid),
    );
    const folder = join(cluster.dataDir, 'log/records', sid.slice(0, 2), sid);
    const found = await sh(`grep -rl very-secret-text ${join(cluster.dataDir, 'log')} || true`);
    expect(found.stdout).toBe('');
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });
});

describe('recordings and the log', () => {
  const verify = () => cluster.tctl('log', 'verify', '--recordings');

  it('are proved together, offline, and the first chunk that was changed is named', async () => {
    await inTerminal('seq 1 100; : marker-proved');
    const { sid = '' } = await endOf('marker-proved');
    await until('all of it to be stored', async () =>
      (await eventsOf('session.upload')).find((one) => one.sid === sid),
    );
    const good = await verify();
    expect(good).toMatchObject({ code: 0, stdout: expect.stringMatching(/^ok$/m) as string });
    expect(good.stdout).toMatch(
      /^recordings: [1-9]\d* whole, [1-9]\d* chunks, in file:\/\/.*\/log\/records$/m,
    );
    const folder = join(cluster.dataDir, 'log/records', sid.slice(0, 2), sid);
    const [part = ''] = readdirSync(folder);
    const whole = readFileSync(join(folder, part));
    const changed = Buffer.from(whole);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    writeFileSync(join(folder, part), changed);
    const bad = await verify();
    expect(bad.code).toBe(1);
    expect(bad.stderr).toMatch(
      new RegExp(`the recording of session ${sid}: chunk \\d+ (is not what|does not continue)`),
    );
    writeFileSync(join(folder, part), whole);
  });
});
