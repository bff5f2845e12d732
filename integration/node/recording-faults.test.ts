import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type RecordedCluster, recordedCluster } from './recorded-cluster.ts';
import { until } from '../harness/run-program.ts';

let bench: RecordedCluster;
afterEach(() => bench.close());

/** A session that writes numbers until it is ended. Resolves with its id once its recording is at auth. */
async function counting(marker: string): Promise<string> {
  const { cluster, config, host } = bench;
  spawn(
    'ssh',
    ['-tt', '-F', config, host, `for i in $(seq 1 100000); do echo line $i; sleep 0.01; done; : ${marker}`],
    {
      ...{ env: cluster.env('joe'), cwd: cluster.dir, stdio: 'ignore' },
    },
  );
  const start = await until('its start', async () =>
    (await bench.eventsOf('session.start')).find((one) => String(one['command']).includes(marker)),
  );
  const sid = start.sid ?? '';
  await until('something of it to be stored', async () =>
    (await bench.outputOf(sid)).includes('line 50') ? true : undefined,
  );
  return sid;
}

const linesOf = (output: string): number[] =>
  output
    .split('\r\n')
    .slice(0, -1)
    .map((line) => Number(line.slice('line '.length)));

describe('a machine that is killed while it records', () => {
  it('has all of it that was on the disk, tells its end, and where the chain leads', async () => {
    bench = await recordedCluster();
    const sid = await counting('marker-killed');
    const before = linesOf(await bench.outputOf(sid)).at(-1) ?? 0;
    await bench.cluster.stop('SIGKILL');
    await bench.start();
    const end = await until('its end', async () =>
      (await bench.eventsOf('session.end')).find((one) => one.sid === sid),
    );
    expect(end).toMatchObject({
      session_recording: 'interrupted',
      participants: ['joe'],
      login: bench.login,
    });
    await until('it to be stored', async () =>
      (await bench.eventsOf('session.upload')).find((one) => one.sid === sid),
    );
    const lines = linesOf(await bench.outputOf(sid));
    expect(lines).toEqual(Array.from({ length: lines.length }, (_, i) => i + 1));
    expect(lines.length).toBeGreaterThanOrEqual(before);
    expect(readdirSync(join(bench.cluster.dataDir, 'log/recordings'))).toEqual([]);
    const verified = await bench.cluster.tctl('log', 'verify', '--recordings');
    expect(verified).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('a machine that keeps nothing of recordings on its disk', () => {
  it('has at auth what was shown, and tells its end after it was killed', async () => {
    bench = await recordedCluster((yaml) =>
      yaml.replace('auth_service:', 'auth_service:\n  session_recording: node-sync'),
    );
    const sid = await counting('marker-sync');
    const [file = ''] = readdirSync(join(bench.cluster.dataDir, 'log/recordings'));
    expect(file).toContain(sid);
    await bench.cluster.stop('SIGKILL');
    await bench.start();
    const end = await until('its end', async () =>
      (await bench.eventsOf('session.end')).find((one) => one.sid === sid),
    );
    expect(end).toMatchObject({ session_recording: 'interrupted' });
    const lines = linesOf(await bench.outputOf(sid));
    expect(lines).toEqual(Array.from({ length: lines.length }, (_, i) => i + 1));
    expect(await bench.cluster.tctl('log', 'verify', '--recordings')).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('a session of a machine whose auth server is gone', () => {
  it('goes on, is recorded, and is sent when auth is back', async () => {
    bench = await recordedCluster();
    const { cluster, config, host } = bench;
    const child = spawn(
      'ssh',
      ['-tt', '-F', config, host, 'echo before; : marker-reload; sleep 8; echo after'],
      {
        ...{ env: cluster.env('joe'), cwd: cluster.dir, stdio: 'ignore' },
      },
    );
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const start = await until('its start', async () =>
      (await bench.eventsOf('session.start')).find((one) => String(one['command']).includes('marker-reload')),
    );
    const sid = start.sid ?? '';
    process.kill(cluster.pid(), 'SIGHUP');
    expect(await ended).toBe(0);
    const end = await until('its end', async () =>
      (await bench.eventsOf('session.end')).find((one) => one.sid === sid),
    );
    expect(end).toMatchObject({ session_recording: 'node', recording_lost_bytes: 0 });
    await until('it to be stored', async () =>
      (await bench.eventsOf('session.upload')).find((one) => one.sid === sid),
    );
    expect(await bench.outputOf(sid)).toBe('before\r\nafter\r\n');
  });
});
