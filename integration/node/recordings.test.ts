import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRecording } from '../../src/api/operations/recording.ts';
import { outputOf } from '../../src/recording/testing.ts';
import type { Cluster } from '../harness/cluster.ts';
import { until } from '../harness/run-program.ts';
import { type RecordedCluster, recordedCluster } from './recorded-cluster.ts';

let bench: RecordedCluster;
let cluster: Cluster;
beforeAll(async () => {
  bench = await recordedCluster();
  cluster = bench.cluster;
});
afterAll(() => bench.close());

describe('a session with a terminal', () => {
  it('is recorded byte for byte, and its end says to which head the chain leads', async () => {
    const ran = await bench.inTerminal('printf "one\\ntwo\\033[1mbold\\033[0m\\n"; : marker-one');
    expect(ran.code).toBe(0);
    const end = await bench.endOf('marker-one');
    expect(end).toMatchObject({
      ...{ session_recording: 'node', recording_lost_bytes: 0, participants: ['joe'] },
      recording_bytes: ran.stdout.length,
      recording_head: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
    const sid = end.sid ?? '';
    await bench.stored(sid);
    const { isOver, head, next } = await bench.auth.call(openRecording, { sid });
    expect([isOver, head, next]).toEqual([true, end['recording_head'], end['recording_chunks']]);
    const frames = await bench.framesIn(sid);
    expect(outputOf(frames)).toBe(ran.stdout);
    expect(frames[0]).toMatchObject({ type: 'start', about: { user: 'joe', login: bench.login, sid } });
    expect(frames.at(-1)).toMatchObject({ type: 'end', exit: 'exit 0' });
    expect(readdirSync(join(cluster.dataDir, 'log/recordings'))).toEqual([]);
  });

  it('of much output is recorded whole', async () => {
    const ran = await bench.inTerminal('seq 1 200000; : marker-much');
    const end = await bench.endOf('marker-much');
    const sid = end.sid ?? '';
    await bench.stored(sid);
    expect(outputOf(await bench.framesIn(sid))).toBe(ran.stdout);
    expect(end).toMatchObject({ recording_bytes: ran.stdout.length, recording_lost_bytes: 0 });
  });

  it('can be played while it runs', async () => {
    const child = spawn('ssh', ['-tt', '-F', bench.config, bench.host, 'echo begun; : marker-live; cat'], {
      ...{ env: cluster.env('joe'), cwd: cluster.dir },
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const start = await until('its start', async () =>
      (await bench.eventsOf('session.start')).find((one) => String(one['command']).includes('marker-live')),
    );
    const sid = start.sid ?? '';
    const shown = (): Promise<string> => bench.outputOf(sid);
    await until('what it showed', async () => ((await shown()).includes('begun') ? true : undefined));
    child.stdin.write('typed\n');
    await until('what was typed', async () => ((await shown()).includes('typed') ? true : undefined));
    child.stdin.end('\u0004');
    child.kill();
    await bench.endOf('marker-live');
  });

  it('without a terminal is told by its events alone', async () => {
    await bench.sh(`ssh -F ${bench.config} ${bench.host} 'echo quiet; : marker-quiet'`);
    const end = await bench.endOf('marker-quiet');
    expect(end['recording_head']).toBeUndefined();
    await expect(bench.auth.call(openRecording, { sid: end.sid ?? '' })).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('lies on the disk of auth sealed, for its owner alone', async () => {
    await bench.inTerminal('echo very-secret-text; : marker-sealed');
    const { sid = '' } = await bench.endOf('marker-sealed');
    await bench.stored(sid);
    const folder = join(cluster.dataDir, 'log/records', sid.slice(0, 2), sid);
    const found = await bench.sh(`grep -rl very-secret-text ${join(cluster.dataDir, 'log')} || true`);
    expect(found.stdout).toBe('');
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });
});

describe('recordings and the log', () => {
  const verify = () => cluster.tctl('log', 'verify', '--recordings');

  it('are proved together, offline, and the first chunk that was changed is named', async () => {
    await bench.inTerminal('seq 1 100; : marker-proved');
    const { sid = '' } = await bench.endOf('marker-proved');
    await bench.stored(sid);
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
