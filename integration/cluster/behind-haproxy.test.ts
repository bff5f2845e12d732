import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../harness/run-program.ts';
import { checkMode } from './balanced-checks.ts';
import { type Balanced, startBalanced } from './behind-balancer.ts';

let balanced: Balanced;
beforeAll(async () => {
  balanced = await startBalanced();
}, 120_000);
afterAll(() => balanced.close());

describe.each([
  { balancer: 'haproxy-tcp.cfg', proxy: 'proxy-tcp.yaml', names: false },
  { balancer: 'haproxy-proxy-protocol.cfg', proxy: 'proxy-proxy-protocol.yaml', names: true },
  { balancer: 'haproxy-https.cfg', proxy: 'proxy-https.yaml', names: true },
])('two proxies behind $balancer', (mode) => {
  checkMode(() => balanced, mode);
});

describe('a proxy that drains', () => {
  it('refuses nobody: the balancer has left it by then', async () => {
    const { serve, proxies, ask } = balanced;
    await serve('haproxy-proxy-protocol.cfg', 'proxy-proxy-protocol.yaml');
    const [{ machine }] = proxies as [(typeof proxies)[number]];
    const failures: string[] = [];
    let asked = 0;
    const over = new AbortController();
    const load = (async () => {
      while (!over.signal.aborted) {
        asked++;
        const status = await ask('/webapi/ping').then(
          (answer) => String(answer.status),
          (e: unknown) => String(e),
        );
        if (status !== '200') failures.push(status);
      }
    })();
    const ended = machine.stop('SIGQUIT');
    expect(
      await until('503', async () => {
        const answer = await machine.readyz('role=proxy');
        return answer?.code === 503 ? answer.body : undefined;
      }),
    ).toContain('this process drains');
    const { ms } = await ended;
    expect(ms).toBeGreaterThan(5_000);
    // By the other one alone.
    for (let n = 0; n < 10; n++) expect((await ask('/webapi/ping')).status).toBe(200);
    over.abort();
    await load;
    console.log(
      `${asked} requests while a proxy drained for ${Math.round(ms)} ms, ${failures.length} failed`,
    );
    expect(failures).toEqual([]);
  }, 120_000);
});
