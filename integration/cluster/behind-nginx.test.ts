import { afterAll, beforeAll, describe } from 'vitest';
import { checkMode } from './balanced-checks.ts';
import { type Balanced, startBalanced } from './behind-balancer.ts';

let balanced: Balanced;
beforeAll(async () => {
  balanced = await startBalanced();
}, 120_000);
afterAll(() => balanced.close());

describe.each([
  { balancer: 'nginx-stream.conf', proxy: 'proxy-proxy-protocol.yaml', names: true },
  { balancer: 'nginx-https.conf', proxy: 'proxy-https.yaml', names: true },
])('two proxies behind $balancer', (mode) => {
  checkMode(() => balanced, mode);
});
