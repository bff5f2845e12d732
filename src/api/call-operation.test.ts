import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { type CallOptions, callOperation } from './call-operation.ts';
import { DoneUnheard } from './done-unheard.ts';
import { type HttpClient, type HttpRequest, LostAnswer } from './http-over.ts';
import { pingCluster } from './operations/cluster.ts';
import { heartbeat } from './operations/host.ts';
import { deleteUser } from './operations/user.ts';
import { fakeWorld } from './testing.ts';

type Answer = { readonly status: number; readonly body: string } | Error;

/** Gives these answers, one for each request. */
function scripted(...answers: Answer[]): HttpClient & { sent: HttpRequest[]; forgotten: number } {
  const client = {
    sent: [] as HttpRequest[],
    forgotten: 0,
    send: (request: HttpRequest): Promise<IncomingMessage> => {
      client.sent.push(request);
      const answer = answers[client.sent.length - 1] ?? new Error('asked too often');
      if (answer instanceof Error) return Promise.reject(answer);
      const message = Object.assign(Readable.from([answer.body]), { statusCode: answer.status });
      return Promise.resolve(message as unknown as IncomingMessage);
    },
    dialAgain: () => undefined,
    open: () => [],
    leave: () => {
      client.forgotten++;
    },
    close: () => undefined,
  };
  return client;
}
const ok = { status: 200, body: '{"clusterName":"c","serverVersion":"v"}' };
const lost = new LostAnswer('socket hang up');
const options = { timeoutMs: 1_000 };
const beat = {
  ...{ ttlSeconds: 600, sentAt: '2026-01-01T00:00:00.000Z' },
  host: {
    ...{ hostId: 'h', role: 'Node', nodename: 'n', address: 'a:1', publicAddress: '', sshPublicAddress: '' },
    ...{ labels: {}, version: 'v' },
  },
};

describe('calling an operation', () => {
  it('gives the output by its schema', async () => {
    const http = scripted(ok);
    expect(await callOperation(http, pingCluster, {}, fakeWorld(), options)).toEqual({
      clusterName: 'c',
      serverVersion: 'v',
    });
    expect(http.sent[0]).toMatchObject({ method: 'POST', path: '/v3/cluster.ping', body: '{}' });
  });

  it('throws the code and message of the server', async () => {
    const http = scripted({ status: 404, body: '{"code":"not_found","message":"no such user"}' });
    await expect(
      callOperation(http, deleteUser, { username: 'x' }, fakeWorld(), options),
    ).rejects.toMatchObject({
      code: 'not_found',
      message: 'no such user',
    });
  });

  it.each([
    [
      'a code of a later version',
      { status: 500, body: '{"code":"of-tomorrow","message":"m"}' },
      /m \(of-tomorrow, which/,
    ],
    [
      'a body that is not ours',
      { status: 502, body: '<html>Bad gateway</html>' },
      /answered 502 and not in our form/,
    ],
    [
      'an output it does not understand',
      { status: 200, body: '{"clusterName":1}' },
      /not understood.*clusterName/,
    ],
  ])('calls %s unavailable', async (_name, answer, message) => {
    const failure = callOperation(scripted(answer), pingCluster, {}, fakeWorld(), options);
    await expect(failure).rejects.toMatchObject({ code: 'unavailable' });
    await expect(failure).rejects.toThrow(message);
  });
  it('reads no more than it was told to', async () => {
    const bytes = Buffer.byteLength(ok.body);
    const reading = (maxAnswerBytes: number) =>
      callOperation(scripted(ok), pingCluster, {}, fakeWorld(), { ...options, maxAnswerBytes });
    await expect(reading(bytes)).resolves.toMatchObject({ clusterName: 'c' });
    await expect(reading(bytes - 1)).rejects.toMatchObject({
      code: 'unavailable',
      message: `the answer is longer than ${bytes - 1} bytes: it was not read`,
    });
  });
});

describe('losing the answer', () => {
  it('asks again, under the same request id, on a new connection, when that does no harm', async () => {
    const http = scripted(lost, lost, ok);
    await callOperation(http, pingCluster, {}, fakeWorld(), options);
    expect(new Set(http.sent.map((one) => one.headers?.['x-request-id']))).toHaveProperty('size', 1);
    expect([http.sent.length, http.forgotten]).toEqual([3, 2]);
  });

  it('gives up after three', async () => {
    const http = scripted(lost, lost, lost, ok);
    await expect(callOperation(http, pingCluster, {}, fakeWorld(), options)).rejects.toMatchObject({
      code: 'unavailable',
      message: 'the connection to the auth server broke during cluster.ping: socket hang up',
    });
  });

  it('never sends twice what must be done once, and says that nobody knows', async () => {
    const http = scripted(lost, ok);
    await expect(callOperation(http, deleteUser, { username: 'x' }, fakeWorld(), options)).rejects.toThrow(
      'whether it was done is not known',
    );
    expect(http.sent).toHaveLength(1);
  });

  it('does not ask again when no server was reached: every one was tried', async () => {
    const http = scripted(new CodedError('unavailable', 'no auth server answers: a:1: refused'), ok);
    await expect(callOperation(http, pingCluster, {}, fakeWorld(), options)).rejects.toThrow('a:1: refused');
  });
});

describe('a lost answer to what cannot be repeated', () => {
  const asking = { ...options, askAfter: true } as const;
  const call = (...answers: Answer[]): { http: ReturnType<typeof scripted>; done: Promise<unknown> } => {
    const http = scripted(lost, ...answers);
    return { http, done: callOperation(http, deleteUser, { username: 'x' }, fakeWorld(), asking) };
  };
  const notDone = { status: 200, body: '{"looked":9}' };
  const saying = (text: string): unknown =>
    expect.objectContaining({ code: 'unavailable', message: expect.stringContaining(text) as string });

  it('is asked after by the id of the call', async () => {
    const { http, done } = call({ status: 200, body: '{"position":7,"looked":9}' });
    await expect(done).rejects.toEqual(saying('it was done (event 7 of the log)'));
    await expect(done).rejects.toBeInstanceOf(DoneUnheard);
    expect(http.sent[1]).toMatchObject({
      path: '/v3/request.outcome',
      body: JSON.stringify({ requestId: http.sent[0]?.headers?.['x-request-id'] }),
    });
  });

  it('is sent once more, under the same id, when it was not carried out', async () => {
    const { http, done } = call(notDone, { status: 200, body: '{"position":1}' });
    await expect(done).resolves.toEqual({ position: 1 });
    const [first, , again] = http.sent;
    expect(again).toMatchObject({ path: first?.path, body: first?.body, headers: first?.headers });
  });

  it('is not sent a third time', async () => {
    await expect(call(notDone, lost, notDone).done).rejects.toEqual(saying('it was not done by now'));
  });

  it('is said to be done when what was sent again is refused because the first was carried out after all', async () => {
    const refused = { status: 404, body: '{"code":"not_found","message":"no such user"}' };
    await expect(
      call(notDone, refused, { status: 200, body: '{"position":7,"looked":9}' }).done,
    ).rejects.toEqual(saying('it was done (event 7 of the log)'));
    await expect(call(notDone, refused, notDone).done).rejects.toMatchObject({ code: 'not_found' });
  });

  it('stays unknown where nobody can say', async () => {
    const older = { status: 404, body: '{"code":"not_found","message":"no such operation"}' };
    for (const answers of [[older], [lost, lost, lost]])
      await expect(call(...answers).done).rejects.toEqual(saying('whether it was done is not known'));
  });
});

describe('a server that says it can do nothing now', () => {
  const body = (outcome?: string): string =>
    JSON.stringify({ code: 'unavailable', message: 'cut off', ...(outcome !== undefined && { outcome }) });
  const cutOff = { status: 503, body: body('nothing') };
  const call = (
    operation: typeof deleteUser | typeof heartbeat,
    answers: Answer[],
    more: Partial<CallOptions> = { servers: 3 },
  ): { http: ReturnType<typeof scripted>; done: Promise<unknown> } => {
    const http = scripted(...answers);
    const input = operation === heartbeat ? beat : { username: 'x' };
    return {
      http,
      done: callOperation(http, operation, input as never, fakeWorld(), { ...options, ...more }),
    };
  };
  const done = { status: 200, body: '{"position":1}' };

  it('is left for the next, under the same id, when it surely did nothing', async () => {
    const { http, done: result } = call(deleteUser, [cutOff, cutOff, done]);
    await expect(result).resolves.toEqual({ position: 1 });
    expect(http.forgotten).toBe(2);
    expect(new Set(http.sent.map((one) => one.headers?.['x-request-id']))).toHaveProperty('size', 1);
  });

  it('is not when it does not say so, as a release before: what must be done once may have been done', async () => {
    const { http, done: result } = call(deleteUser, [{ status: 503, body: body() }, done]);
    await expect(result).rejects.toMatchObject({ code: 'unavailable', message: 'cut off' });
    expect(http.sent).toHaveLength(1);
  });

  it('is asked what became of it when it does not know', async () => {
    const unknown = { status: 503, body: body('unknown') };
    const answers = [unknown, { status: 200, body: '{"looked":9}' }, done];
    await expect(call(deleteUser, answers, { servers: 3, askAfter: true }).done).resolves.toEqual({
      position: 1,
    });
    await expect(call(deleteUser, [unknown, done]).done).rejects.toMatchObject({
      message: 'cut off; whether it was done is not known',
    });
  });

  it('is the last word when all of them say so, after so long as somebody waits', async () => {
    const all = [cutOff, cutOff, cutOff];
    await expect(call(deleteUser, all).done).rejects.toMatchObject({
      code: 'unavailable',
      outcome: 'nothing',
    });
    await expect(
      call(deleteUser, [...all, cutOff, done], { servers: 3, persistMs: 4_000 }).done,
    ).resolves.toEqual({ position: 1 });
  });

  it('is not asked for ever for what nobody waits for', async () => {
    const { http, done: result } = call(heartbeat, [cutOff, cutOff, cutOff, done], {
      servers: 3,
      persistMs: 4_000,
    });
    await expect(result).rejects.toMatchObject({ code: 'unavailable' });
    expect(http.sent).toHaveLength(3);
  });
});
