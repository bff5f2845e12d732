import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** A request in Amazon's JSON protocol. */
export interface Asked {
  readonly operation: string;
  readonly body: Record<string, unknown>;
}

/** Gives what is said, or a string: the name of an error. */
export type Answering = (asked: Asked, headers: Record<string, string>) => Promise<object | string>;

/** A service that speaks Amazon's JSON protocol. `asked` grows by each request. */
export async function jsonService(
  answer: Answering,
): Promise<{ readonly endpoint: string; readonly asked: readonly Asked[]; close(): Promise<void> }> {
  const all: Asked[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const operation = String(request.headers['x-amz-target']).split('.')[1] ?? '';
      const asked = { operation, body: JSON.parse(await text(request)) as Record<string, unknown> };
      all.push(asked);
      const said = await answer(asked, { ...request.headers } as Record<string, string>);
      const failed = typeof said === 'string';
      response.writeHead(failed ? 400 : 200, { 'content-type': 'application/x-amz-json-1.0' });
      response.end(
        JSON.stringify(failed ? { __type: `com.amazonaws#${said}`, message: 'by the test' } : said),
      );
    })();
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: all,
    close: () =>
      new Promise((closed) => {
        server.closeAllConnections();
        server.close(() => {
          closed();
        });
      }),
  };
}
