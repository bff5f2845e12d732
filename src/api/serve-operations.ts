import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { type Interruption, withinDeadline } from '../base/deadline.ts';
import { CodedError, isCoded } from '../base/errors.ts';
import { second } from '../base/time.ts';
import { actorOf, guard, whoOf } from './guard.ts';
import { beatWhileWorking } from './beats.ts';
import { patienceMs } from './patience.ts';
import { readBody } from './read-body.ts';
import { addLogRoutes } from './serve-log.ts';
import type { ServedLogs } from './served-logs.ts';
import type { Call, ServerDeps, ServerEnv } from './server-deps.ts';
import { httpStatusOf } from './http-status.ts';
import type { Operation } from './operation.ts';
import type { z } from 'zod';
import { issuesOf, jsonOrUndefined, type WireError } from './wire-errors.ts';

/** An operation and its implementation. */
export interface Implementation {
  readonly operation: Operation;
  readonly run: (call: Call, input: unknown) => Promise<unknown>;
}

/** Pairs an operation with its use case; the types of both must agree. */
export const implement = <I extends z.ZodType, O extends z.ZodType>(
  row: Operation<I, O>,
  run: (call: Call, input: z.output<I>) => Promise<z.input<O>>,
): Implementation => ({
  operation: row,
  // The input was parsed by `row.input` before: see `answer`.
  run: (call, input) => run(call, input as z.output<I>),
});

/**
 * Callers give up after 10 s (`patienceMs`). A request that was not begun by this time is refused; one that
 * is begun now has time left to be stored, recorded in the audit and answered.
 */
const answerWithinMs = patienceMs - 2 * second;

/** A batch of audit events is the largest thing anyone sends. */
const maxBodyBytes = 2 * 1024 * 1024;
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The routes, for `app.request()` in tests; `listenerOf` makes them a listener for a server. */
export function serveOperations(
  implementations: readonly Implementation[],
  logs: ServedLogs,
  deps: ServerDeps,
): Hono<ServerEnv> {
  const table = new Map(implementations.map((one) => [one.operation.name, one]));
  if (table.size !== implementations.length) throw new Error('an operation is implemented twice');
  const app = new Hono<ServerEnv>();
  app.use(async (c, next) => {
    const given = c.req.header('x-request-id') ?? '';
    c.set('requestId', uuid.test(given) ? given : deps.world.uuid());
    c.set('operation', 'unknown');
    c.set('startedAt', performance.now());
    c.header('x-request-id', c.get('requestId'));
    await next();
  });
  app.onError((e, c) => refuse(e, c, deps));
  app.notFound((c) =>
    refuse(new CodedError('not_found', `there is no ${c.req.method} ${c.req.path}`), c, deps),
  );
  addLogRoutes(app, logs, deps);
  app.post('/v3/:operation', (c) => answer(c, table, deps));
  return app;
}

/** What `node:https` calls for each request. */
export function listenerOf(app: Hono<ServerEnv>): RequestListener {
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  return (request: IncomingMessage, response: ServerResponse) => {
    beatWhileWorking(request, response);
    void listener(request, response);
  };
}

async function answer(
  c: Context<ServerEnv>,
  table: ReadonlyMap<string, Implementation>,
  deps: ServerDeps,
): Promise<Response> {
  const name = c.req.param('operation') ?? '';
  const found = table.get(name);
  if (!found) throw new CodedError('not_found', 'there is no such operation in this version');
  c.set('operation', name);
  const { operation, run } = found;
  const caller = deps.callerOf(c.env.incoming.socket);
  const admitted = guard(operation, caller, deps.rulesOf);
  deps.limits.call(caller, operation);
  const body = jsonOrUndefined(await readBody(c, maxBodyBytes));
  if (body === undefined) throw new CodedError('bad_request', 'the body is not JSON');
  const input = operation.input.safeParse(body);
  if (!input.success) throw new CodedError('bad_request', issuesOf(input.error));
  admitted.checkInput(input.data);
  const requestId = c.get('requestId');
  if (operation.withoutStore !== true) refuseUnlessServing(deps);
  const result = await withinDeadline(
    answerWithinMs,
    (deadline) => run({ caller, rules: admitted.rules, requestId, deadline }, input.data),
    {
      afterwards: (e) => {
        if (!isCoded(e)) tellBug(e, { operation: name, requestId }, deps);
      },
      interruptions: [
        callerGone(c),
        ...(deps.serving && operation.withoutStore !== true ? [deps.serving.interruption] : []),
      ],
    },
  );
  // This also removes fields that the contract does not name.
  const output = admitted.sift(operation.output.parse(result));
  count(c, 'ok', deps);
  deps.sink.debug('an operation was carried out', {
    operation: name,
    caller: actorOf(caller),
    who: whoOf(caller),
    requestId,
  });
  return c.json(output as object);
}

/** @throws CodedError `unavailable`: nothing was done, and another server may be able to. */
function refuseUnlessServing({ serving }: ServerDeps): void {
  const why = serving?.refusal();
  if (why !== undefined)
    throw new CodedError('unavailable', `this auth server ${why}`, { outcome: 'nothing' });
}

/**
 * A caller that has left asks another server for the outcome, and may send the same request there: what was
 * not begun by then must not be begun here.
 */
const callerGone =
  (c: Context<ServerEnv>): Interruption =>
  (interrupt) => {
    const { outgoing } = c.env;
    const left = (): void => {
      interrupt('the caller has left');
    };
    outgoing.once('close', left);
    return () => outgoing.off('close', left);
  };

/**
 * Turns an error into a response. Only a CodedError is shown to the caller; any other is our bug, and its
 * text is not sent.
 */
function refuse(e: unknown, c: Context<ServerEnv>, deps: ServerDeps): Response {
  const requestId = c.get('requestId');
  const operation = c.get('operation');
  const coded = isCoded(e);
  const error: WireError = coded
    ? {
        code: e.code,
        message: e.code === 'no_space' ? (deps.noRoom?.(e.message) ?? e.message) : e.message,
        ...(e.retryAfterMs !== undefined && { retryAfterMs: Math.ceil(e.retryAfterMs) }),
        ...(e.outcome !== undefined && { outcome: e.outcome }),
      }
    : { code: 'internal', message: `internal error (request ${requestId})` };
  if (coded)
    deps.sink.debug('an operation was refused', { operation, requestId, code: e.code, message: e.message });
  else tellBug(e, { operation, requestId }, deps);
  count(c, error.code, deps);
  return c.json(error, httpStatusOf[error.code]);
}

function tellBug(
  e: unknown,
  where: { readonly operation: string; readonly requestId: string },
  deps: ServerDeps,
): void {
  const error = e instanceof Error ? (e.stack ?? e.message) : String(e);
  deps.sink.error('bug: an operation failed with an unexpected error', { ...where, error });
}

function count(c: Context<ServerEnv>, code: string, deps: ServerDeps): void {
  const operation = c.get('operation');
  deps.metrics.add('auth_requests_total', 1, { operation, code });
  deps.metrics.observe('auth_request_seconds', (performance.now() - c.get('startedAt')) / 1000, {
    operation,
  });
}
