import { spawn } from 'node:child_process';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { until } from '../harness/run-program.ts';
import { type RecordedCluster, recordedCluster } from './recorded-cluster.ts';

let bench: RecordedCluster;
beforeAll(async () => {
  bench = await recordedCluster((text) =>
    text.replace(
      'auth_service:',
      'auth_service:\n  client_idle_timeout: 12s\n  keep_alive_interval: 1s\n  keep_alive_count_max: 2',
    ),
  );
});
afterAll(() => bench.close());

const disconnects = async (): Promise<readonly unknown[]> =>
  (await bench.eventsOf('client.disconnect')).map(({ reason }) => reason);

it('a session in which nobody does anything is told so, and ends, on record', async () => {
  const ran = await bench.inTerminal('echo begun; sleep 600');
  const reason = 'client is idle for 12s, exceeded idle timeout of 12s';
  expect(ran.stdout).toMatch(/^begun\r\n/);
  expect(ran.stdout + ran.stderr).toContain(reason);
  expect(ran.code).toBe(255);
  await until('it to be on record', async () => ((await disconnects()).includes(reason) ? true : undefined));
});

it('a client that no longer answers is left, on record', async () => {
  const child = spawn('ssh', ['-F', bench.config, bench.host, 'echo begun; cat > /dev/null'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  try {
    await new Promise((resolve) => child.stdout.once('data', resolve));
    child.kill('SIGSTOP');
    const reason = 'client did not answer keep-alive messages';
    await until('it to be on record', async () =>
      (await disconnects()).includes(reason) ? true : undefined,
    );
  } finally {
    child.kill('SIGKILL');
  }
});
