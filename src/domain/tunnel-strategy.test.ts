import { describe, expect, it } from 'vitest';
import { mostConnections, strategyOf, strategyText, usualStrategy } from './tunnel-strategy.ts';

describe('on how many proxies nodes hang', () => {
  it('is declared as text, and read back', () => {
    for (const strategy of [
      { type: 'agent_mesh' } as const,
      ...[1, 2, 10, mostConnections].map((connections) => ({ type: 'proxy_peering', connections }) as const),
    ])
      expect(strategyOf(strategyText(strategy))).toEqual(strategy);
  });
  it.each([
    undefined,
    '',
    'proxy_peering',
    'proxy_peering/0',
    'proxy_peering/65',
    'proxy_peering/1.5',
    'agent_mesh/2',
  ])('is the usual number for %j', (text) => {
    expect(strategyOf(text)).toEqual(usualStrategy);
  });
});
