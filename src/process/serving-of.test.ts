import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { fakeWorld } from '../api/testing.ts';
import { CodedError } from '../base/errors.ts';
import type { HostPort } from '../base/service.ts';
import { servingOf } from './serving-of.ts';

/** How each server answers, by its host. */
const answers = vi.hoisted(() => new Map<string, Promise<unknown>>());
vi.mock('../api/join-client.ts', () => ({ readTrusted: ({ host }: HostPort) => answers.get(host) }));

const server = (host: string, answer: Promise<unknown>): HostPort => {
  answer.catch(() => undefined);
  answers.set(host, answer);
  return { host, port: 3025 };
};
const refused = (): Promise<never> => Promise.reject(new CodedError('unavailable', 'ECONNREFUSED'));
const mute = (): Promise<never> => new Promise(() => undefined);
const ask = (...servers: HostPort[]) => servingOf(servers, fakeWorld());

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

it('the first that has a cluster is named, whatever the others are', async () => {
  const serving = server('::1', Promise.resolve({}));
  expect(await ask(server('10.0.0.1', refused()), server('10.0.0.2', mute()), serving)).toBe('[::1]:3025');
});

it('none is named where all refuse, or where there is none', async () => {
  expect(await ask(server('10.0.0.1', refused()))).toBeUndefined();
  expect(await ask()).toBeUndefined();
});

it('is waited for 3 s', async () => {
  let named: string | undefined = 'not told';
  const asked = ask(server('10.0.0.1', mute())).then((answer) => {
    named = answer;
  });
  await vi.advanceTimersByTimeAsync(2_999);
  expect(named).toBe('not told');
  await vi.advanceTimersByTimeAsync(1);
  await asked;
  expect(named).toBeUndefined();
});
