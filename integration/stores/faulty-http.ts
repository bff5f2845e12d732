import { createServer, request, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * What becomes of one request: passed on, refused before it arrives, carried out and its answer lost, or
 * `late`: given up, and still on its way.
 */
export type HttpFault =
  'none' | 'throttle' | 'error-before' | 'error-after' | 'cut-after' | 'silence-after' | 'late';

export interface FaultyHttp {
  readonly endpoint: string;
  /** Decides what becomes of each request from here on. `operation`: `PutItem`, `Query`, … */
  decide(fault: (operation: string) => HttpFault): void;
  /** Now what was `late` arrives. */
  arrive(): Promise<void>;
  /** How often each fault was. */
  readonly counts: ReadonlyMap<HttpFault, number>;
  close(): Promise<void>;
}

const body = async (message: IncomingMessage): Promise<Buffer> => {
  const parts: Buffer[] = [];
  for await (const part of message) parts.push(part as Buffer);
  return Buffer.concat(parts);
};

/** Stands before a DynamoDB engine. */
export async function faultyHttp(target: string): Promise<FaultyHttp> {
  let decide: (operation: string) => HttpFault = () => 'none';
  const counts = new Map<HttpFault, number>();
  const late: (() => Promise<unknown>)[] = [];
  const pass = (
    method: string,
    headers: IncomingMessage['headers'],
    sent: Buffer,
  ): Promise<{ answer: IncomingMessage; got: Buffer }> =>
    new Promise((resolve, reject) => {
      const { hostname, port } = new URL(target);
      const upstream = request({ hostname, port, method, path: '/', headers }, (answer) => {
        body(answer).then((got) => {
          resolve({ answer, got });
        }, reject);
      });
      upstream.on('error', reject);
      upstream.end(sent);
    });
  const server = createServer((incoming, response) => {
    void (async () => {
      const sent = await body(incoming);
      const fault = decide(String(incoming.headers['x-amz-target']).split('.')[1] ?? '');
      counts.set(fault, (counts.get(fault) ?? 0) + 1);
      const refuse = (code: number, type: string): void => {
        response.writeHead(code, { 'content-type': 'application/x-amz-json-1.0' });
        response.end(
          JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${type}`, message: 'by the test' }),
        );
      };
      if (fault === 'throttle') refuse(400, 'ProvisionedThroughputExceededException');
      else if (fault === 'error-before') refuse(500, 'InternalServerError');
      else if (fault === 'late') {
        late.push(() => pass(incoming.method ?? 'POST', incoming.headers, sent));
        refuse(500, 'InternalServerError');
      } else {
        const { answer, got } = await pass(incoming.method ?? 'POST', incoming.headers, sent);
        if (fault === 'error-after') refuse(500, 'InternalServerError');
        else if (fault === 'cut-after') incoming.socket.resetAndDestroy();
        else if (fault !== 'silence-after') {
          response.writeHead(answer.statusCode ?? 500, answer.headers);
          response.end(got);
        }
      }
    })().catch(() => {
      response.destroy();
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    decide: (fault) => {
      decide = fault;
    },
    arrive: async () => {
      for (const one of late.splice(0)) await one();
    },
    counts,
    close: () =>
      new Promise((closed) => {
        server.closeAllConnections();
        server.close(() => {
          closed();
        });
      }),
  };
}
