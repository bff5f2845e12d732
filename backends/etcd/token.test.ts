import { describe, expect, it } from 'vitest';
import { CodedError } from '../../src/base/errors.ts';
import { NotSent } from './answers.ts';
import { TokenSource } from './token.ts';

const minute = 60_000;

/** A source whose logins end when the test says so. */
function setUp(): {
  source: TokenSource;
  at: { now: number };
  logins: PromiseWithResolvers<string>[];
  notAsked: () => number;
  /** The token that a call is shown now. */
  shown: () => Promise<unknown>;
  answer: (token: string) => void;
  fail: (e: unknown) => void;
} {
  const logins: PromiseWithResolvers<string>[] = [];
  const at = { now: 0 };
  let notAsked = 0;
  const source = new TokenSource({
    logIn: () => {
      const login = Promise.withResolvers<string>();
      logins.push(login);
      return login.promise;
    },
    clock: () => at.now,
    notAsked: () => notAsked++,
  });
  return {
    source,
    at,
    logins,
    notAsked: () => notAsked,
    shown: async () => {
      const metadata = (await source.getMetadata()) as unknown as { get(key: string): unknown[] };
      return metadata.get('token')[0];
    },
    answer: (token) => logins.at(-1)?.resolve(token),
    fail: (e) => logins.at(-1)?.reject(e),
  };
}
/** All that can go on without an answer has gone on. */
const settled = (): Promise<void> => new Promise((done) => setImmediate(done));

describe('a token', () => {
  it('is made by one login for many callers', async () => {
    const { shown, answer, logins } = setUp();
    const callers = [shown(), shown(), shown()];
    answer('one');
    expect(await Promise.all(callers)).toEqual(['one', 'one', 'one']);
    expect(await shown()).toBe('one');
    expect(logins).toHaveLength(1);
  });

  it('is renewed beside the calls when it is old, counted from before the login', async () => {
    const { shown, answer, at, logins } = setUp();
    const first = shown();
    at.now = minute;
    answer('one');
    expect(await first).toBe('one');
    at.now = 4 * minute;
    await shown();
    expect(logins).toHaveLength(1);
    at.now = 4 * minute + 1;
    // No caller waits for the login.
    expect(await Promise.all([shown(), shown()])).toEqual(['one', 'one']);
    expect(logins).toHaveLength(2);
    answer('two');
    await settled();
    expect(await shown()).toBe('two');
    expect(logins).toHaveLength(2);
  });

  it('stays when renewing it beside the calls fails, and is tried again', async () => {
    const { shown, answer, fail, at, logins } = setUp();
    const first = shown();
    answer('one');
    await first;
    at.now = 5 * minute;
    expect(await shown()).toBe('one');
    fail(new Error('14 UNAVAILABLE: etcdserver: no leader'));
    await settled();
    expect(await shown()).toBe('one');
    expect(logins).toHaveLength(3);
  });

  it('is renewed before the calls when it was refused, once for all that were', async () => {
    const { source, shown, answer, logins } = setUp();
    const first = shown();
    answer('one');
    await first;
    source.invalidateMetadata();
    const again = [shown()];
    // Refused as well, a moment later.
    source.invalidateMetadata();
    again.push(shown());
    expect(logins).toHaveLength(2);
    answer('two');
    expect(await Promise.all(again)).toEqual(['two', 'two']);
  });
});

describe('a login that etcd', () => {
  it('refuses is misconfigured, and names the keys of the configuration', async () => {
    const { shown, fail } = setUp();
    const call = shown();
    fail(new Error('3 INVALID_ARGUMENT: etcdserver: authentication failed, invalid user ID or password'));
    await expect(call).rejects.toMatchObject({
      code: 'misconfigured',
      message: expect.stringMatching(/storage\.username.*password_file/) as string,
    });
  });

  it('does not answer was not sent: another peer may be asked, and later this one', async () => {
    const { shown, fail, answer } = setUp();
    const call = shown();
    fail(new Error('4 DEADLINE_EXCEEDED: Deadline exceeded'));
    await expect(call).rejects.toBeInstanceOf(NotSent);
    const next = shown();
    answer('one');
    expect(await next).toBe('one');
  });

  it('has no use for is told, and the calls go without a token', async () => {
    const { shown, fail, notAsked } = setUp();
    const call = shown();
    fail(new Error('9 FAILED_PRECONDITION: etcdserver: authentication is not enabled'));
    expect(await call).toBeUndefined();
    expect(notAsked()).toBe(1);
  });

  it('never sees, since the file cannot be read, is what was said of the file', async () => {
    const { shown, fail } = setUp();
    const call = shown();
    const said = new CodedError('misconfigured', 'etcd: password_file: cannot read x');
    fail(said);
    await expect(call).rejects.toBe(said);
  });
});
