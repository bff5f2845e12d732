import { expect, it } from 'vitest';
import { everyHost } from './listed-hosts.ts';
import { listHosts, mostHostsOfPage } from './operations/host.ts';

const host = (n: number) => ({ hostId: `h${n}` });

it('asks for hosts page by page, each after the last', async () => {
  const asked: unknown[] = [];
  const pages = [
    { hosts: [host(1), host(2)], next: 'two' },
    { hosts: [host(3)], next: 'three' },
    { hosts: [] },
  ];
  const auth = {
    call: (operation: unknown, input: object) => {
      expect(operation).toBe(listHosts);
      asked.push(input);
      return Promise.resolve(pages[asked.length - 1]);
    },
  };
  const wish = { role: 'Node', labels: { team: 'a' } } as const;
  const all = await everyHost(auth as never, wish);
  expect(all.map(({ hostId }) => hostId)).toEqual(['h1', 'h2', 'h3']);
  const limit = mostHostsOfPage;
  expect(asked).toEqual([
    { ...wish, limit },
    { ...wish, limit, after: 'two' },
    { ...wish, limit, after: 'three' },
  ]);
});

it('takes all that an older auth server sends at once', async () => {
  const auth = { call: () => Promise.resolve({ hosts: [host(1), host(2)] }) };
  expect(await everyHost(auth as never, { role: 'Proxy' })).toHaveLength(2);
});
