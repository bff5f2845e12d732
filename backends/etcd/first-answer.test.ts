import { describe, expect, it, vi } from 'vitest';
import { CodedError } from '../../src/base/errors.ts';
import { firstAnswer } from './first-answer.ts';
import type { Act, Peers } from './peers.ts';

const options = { dialTimeoutMs: 0, peers: ['http://etcd1:2379'] };

/** Peers whose status answers this. */
function setUp(status: () => Promise<object>): Pick<Peers, 'call' | 'patienceMs' | 'opening'> {
  const client = { maintenance: { status } };
  return {
    opening: true,
    patienceMs: 5_000,
    call: <T>(act: Act<T>) => act(client as never, { deadline: 0 }),
  };
}
/** Claims, and hears what is waited for. */
const first = (
  peers: Pick<Peers, 'call' | 'patienceMs' | 'opening'>,
  claim: () => Promise<void>,
  waits: string[] = [],
  dialTimeoutMs = 0,
): Promise<void> =>
  firstAnswer(peers, { ...options, dialTimeoutMs }, { claim, waitsFor: (text) => waits.push(text) });

const version = (text: string) => (): Promise<object> => Promise.resolve({ version: text });
const coded = (code: 'misconfigured' | 'unavailable', text: string): CodedError => new CodedError(code, text);

describe('the first answer', () => {
  it('is that of an etcd that is new enough, and the usual patience comes back', async () => {
    const peers = setUp(version('3.4.23'));
    let claimed = 0;
    await first(peers, () => {
      expect(peers.patienceMs).toBe(100);
      claimed++;
      return Promise.resolve();
    });
    expect(claimed).toBe(1);
    expect(peers.opening).toBe(false);
    expect(peers.patienceMs).toBe(5_000);
  });

  it('of one that is too old is refused, and nothing claimed', async () => {
    let claimed = 0;
    const claim = (): Promise<void> => Promise.resolve(claimed++).then(() => undefined);
    await expect(first(setUp(version('3.2.32')), claim)).rejects.toThrow(/3\.2\.32 is too old/);
    expect(claimed).toBe(0);
  });

  it('may leave out the version: a new etcd tells it only to root', async () => {
    let claimed = 0;
    const denied = (): Promise<never> =>
      Promise.reject(coded('misconfigured', 'etcd refuses us (a): permission denied'));
    await first(setUp(denied), () => Promise.resolve(claimed++).then(() => undefined));
    expect(claimed).toBe(1);
  });

  it('that refuses a password is not waited for again', async () => {
    let asked = 0;
    const refuse = (): Promise<never> => {
      asked++;
      return Promise.reject(coded('misconfigured', 'etcd refuses username and password'));
    };
    await expect(first(setUp(refuse), () => Promise.resolve())).rejects.toMatchObject({
      code: 'misconfigured',
      message: 'etcd refuses username and password',
    });
    expect(asked).toBe(1);
  });

  it('that does not come is said with the time it was waited for', async () => {
    const away = (): Promise<never> => Promise.reject(coded('unavailable', 'no peer of etcd answers'));
    await expect(first(setUp(away), () => Promise.resolve())).rejects.toMatchObject({
      code: 'unavailable',
      message: 'no peer of etcd answers (tried for 0 s)',
    });
  });

  it('is waited for through what goes wrong on the way, and it is told what is waited for', async () => {
    const waits: string[] = [];
    const faults = [
      coded('unavailable', 'no peer of etcd answers'),
      new CodedError('ambiguous', 'no answer to a write'),
    ];
    const claim = (): Promise<void> => {
      const fault = faults.shift();
      return fault ? Promise.reject(fault) : Promise.resolve();
    };
    vi.useFakeTimers();
    const opening = first(setUp(version('3.4.23')), claim, waits, 10_000);
    await vi.runAllTimersAsync();
    await opening;
    vi.useRealTimers();
    expect(waits).toEqual(['no peer of etcd answers', 'no answer to a write']);
  });
});
